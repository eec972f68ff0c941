/** Badly behaved receivers, in Python: a real socket API, and nothing of zc's or Bun's. */
import { join } from "node:path";
import { start } from "./zc.ts";

export type Behaviour = "reset-unread" | "never-read" | "early-fin" | "echo";

/** Runs `action` with the peer's address, and what it will print: the bytes that it got. */
export async function withPeer(
  behaviour: Behaviour,
  action: (address: string, got: Promise<string>) => Promise<void>,
): Promise<void> {
  const peer = start("python3", [join(import.meta.dirname, "peer.py"), behaviour]);
  try {
    const [, port] = await peer.note(/listening (\d+)/);
    await action(
      `tcp:127.0.0.1:${port}`,
      peer.result.then(({ stdout }) => stdout.toString().trim()),
    );
  } finally {
    peer.child.kill("SIGKILL");
    await peer.result;
  }
}
