/** Listens on an address, and accepts connections one at a time. */
import { lstatSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { type Address, formatAddress } from "../address/index.ts";
import { family } from "../address/sockaddr.ts";
import { usageError, ZcError } from "../errors.ts";
import { pollIn, ready } from "../run-job.ts";
import { inheritedConnection } from "./connect.ts";
import { type Connection, takeConnection } from "./connection.ts";
import { applySettings, effectiveSettings, type SocketSettings } from "./settings.ts";
import {
  closeSocket,
  getInt,
  level,
  openSocket,
  option,
  setInt,
  socketNameText,
  socketType,
} from "./socket.ts";
import { type Candidate, type OpenableAddress, transportOf } from "./transports.ts";

export interface Listener {
  /** What to connect to, in the address grammar; the port is the one that the kernel gave. */
  readonly address: string;
  /** Waits for a connection, which the caller owns. Throws TIMEOUT. */
  accept(options?: {
    timeoutMs?: number | undefined;
    signal?: AbortSignal | undefined;
  }): Promise<Connection>;
  /** Stops listening, and removes the socket's file. Connections that were accepted stay. */
  close(): void;
}

/** Connections that may wait while one is served. */
const backlog = 256;
const { EAGAIN, EADDRINUSE, ECONNREFUSED, EACCES, EADDRNOTAVAIL } = constants.errno;

/** Throws CONNECT when the address cannot be listened on. */
export async function listen(address: Address, settings: SocketSettings = {}): Promise<Listener> {
  if (address.transport === "fd") return inheritedListener(address.fd);
  const transport = transportOf(address);
  if (transport.type !== socketType.stream)
    throw usageError(formatAddress(address), "datagrams make no connection to wait for");
  const [candidate] = await transport.toListen(address);
  if (candidate === undefined) throw listenError(address, EADDRNOTAVAIL);
  const fd = openSocket(candidate.domain, transport.type);
  if (fd < 0) throw listenError(address, -fd);
  const path = transport.socketFile?.(address);
  try {
    applySettings(fd, transport.settings, settings);
    setInt(fd, level.socket, option.reuseAddress, 1);
    bind(fd, candidate, address, path);
    const result = library().zc_socket_listen(fd, backlog);
    if (result < 0) throw listenError(address, -result);
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  const inode = path === undefined ? undefined : lstatSync(path).ino;
  return {
    address:
      address.transport === "tcp" || address.transport === "vsock"
        ? socketNameText(fd, "own")
        : formatAddress(address),
    accept: (options = {}) => accept(fd, address, settings, options),
    close: () => {
      closeSocket(fd);
      if (path !== undefined && inodeOf(path) === inode) rmSync(path, { force: true });
    },
  };
}

function bind(
  fd: number,
  { sockaddr }: Candidate,
  address: OpenableAddress,
  path: string | undefined,
): void {
  const bound = () => -library().zc_socket_bind(fd, sockaddr, sockaddr.length);
  let errno = bound();
  if (errno === EADDRINUSE && path !== undefined && isDeadSocket(path, sockaddr)) {
    rmSync(path);
    errno = bound();
  }
  if (errno !== 0) throw listenError(address, errno);
}

/**
 * A socket file that its listener has left behind. A datagram socket asks: unix(7) refuses to join
 * it to a live stream listener (EPROTOTYPE), which therefore notices nothing.
 */
function isDeadSocket(path: string, sockaddr: Uint8Array): boolean {
  if (!lstatSync(path).isSocket()) return false;
  const fd = openSocket(family.unix, socketType.datagram);
  if (fd < 0) return false;
  const errno = -library().zc_socket_connect(fd, sockaddr, sockaddr.length);
  closeSocket(fd);
  return errno === ECONNREFUSED;
}

async function accept(
  fd: number,
  address: Address,
  settings: SocketSettings,
  { timeoutMs, signal }: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
): Promise<Connection> {
  for (;;) {
    if (!(await ready(fd, pollIn, { timeoutMs, signal }))) {
      throw new ZcError({
        code: "TIMEOUT",
        operation: "wait for a connection on",
        subject: formatAddress(address),
        reason: `nobody came within ${timeoutMs} ms`,
      });
    }
    const accepted = library().zc_socket_accept(fd);
    if (accepted >= 0) {
      if (address.transport === "unix") applySettings(accepted, "unix", settings);
      return takeConnection(accepted, {
        settings: effectiveSettings(accepted, settings),
      });
    }
    if (accepted !== -EAGAIN && !isPeersFault(-accepted)) throw listenError(address, -accepted);
  }
}

/** accept(2): errors of the new connection, not of the listener. */
function isPeersFault(errno: number): boolean {
  return peersFaults.has(errno);
}

const peersFaults = new Set([
  constants.errno.ECONNABORTED,
  constants.errno.EINTR,
  constants.errno.EPROTO,
]);

/** A socket that came with the process: listening already, or connected. */
function inheritedListener(fd: number): Listener {
  if (getInt(fd, level.socket, option.acceptsConnections) === 1) {
    library().zc_fd_nonblocking(fd, 1);
    const address: Address = { transport: "fd", fd };
    return {
      address: socketNameText(fd, "own"),
      accept: (options = {}) => accept(fd, address, {}, options),
      close: () => closeSocket(fd),
    };
  }
  return {
    address: `fd:${fd}`,
    accept: async () => inheritedConnection(fd),
    close: () => {},
  };
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}

function listenError(address: Address, errno: number): ZcError {
  return new ZcError({
    code: "CONNECT",
    operation: "listen on",
    subject: formatAddress(address),
    errno,
    hint: hints[errno] ?? "",
  });
}

const hints: Record<number, string | undefined> = {
  [EADDRINUSE]: "another program listens there; port 0 takes a free one",
  [EACCES]: "ports below 1024 need privileges (CAP_NET_BIND_SERVICE)",
  [EADDRNOTAVAIL]: "this machine has no such address",
};
