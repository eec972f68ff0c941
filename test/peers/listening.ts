/** What /proc says of a process's sockets: a connection made to find out would be taken for the real one. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Running } from "../support/zc.ts";

/** Resolves once something listens on `address` in the network namespace of `process`. */
export function untilListening(process: Running, address: string): Promise<void> {
  const [transport, ...rest] = address.split(":");
  const last = rest.at(-1) ?? "";
  const isThere =
    transport === "unix"
      ? (pid: number) => unixListeners(pid).includes(last)
      : (pid: number) =>
          tcpSockets(pid).some(
            ({ localPort, state }) => localPort === Number(last) && state === tcpState.listen,
          );
  return until(process, `a listener on ${address}`, isThere);
}

/** Resolves once the peer on `port` has ended its side of a connection, which we have not. */
export function untilPeerEnded(process: Running, port: number): Promise<void> {
  return until(process, `the end of the peer on port ${port}`, (pid) =>
    tcpSockets(pid).some(
      ({ remotePort, state }) => remotePort === port && state === tcpState.closeWait,
    ),
  );
}

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    server.close(() => resolve(port));
  });
  return promise;
}

const pollMs = 10;
const limitMs = 20_000;

async function until(
  { child, notes }: Running,
  what: string,
  isThere: (pid: number) => boolean,
): Promise<void> {
  const pid = child.pid ?? 0;
  const deadline = Date.now() + limitMs;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if (isThere(pid)) return;
    await pause(pollMs);
  }
  throw new Error(`${what} never came about: ${notes()}`);
}

/** The kernel's include/net/tcp_states.h */
const tcpState = { closeWait: 8, listen: 10 } as const;

interface TcpSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: number;
}

/** proc_net_tcp(5): "sl local_address rem_address st …", in hexadecimal. */
function tcpSockets(pid: number): TcpSocket[] {
  return lines(`/proc/${pid}/net/tcp`).map((line) => {
    const [, local = "", remote = "", state = ""] = line.trim().split(/\s+/);
    return {
      localPort: Number.parseInt(local.split(":")[1] ?? "", 16),
      remotePort: Number.parseInt(remote.split(":")[1] ?? "", 16),
      state: Number.parseInt(state, 16),
    };
  });
}

/** Flags of /proc/net/unix: the kernel's __SO_ACCEPTCON, include/linux/net.h */
const acceptsConnections = 1 << 16;

/** unix(7): "Num RefCount Protocol Flags Type St Inode Path". */
function unixListeners(pid: number): string[] {
  return lines(`/proc/${pid}/net/unix`).flatMap((line) => {
    const [, , , flags = "", , , , path = ""] = line.trim().split(/\s+/);
    return (Number.parseInt(flags, 16) & acceptsConnections) === 0 ? [] : [path];
  });
}

/** Without the heading; none when the process has just ended. */
function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  } catch {
    return [];
  }
}
