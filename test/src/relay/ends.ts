/** Two peers, here, and a relay between them, in a process of its own. */
import { dlopen } from "bun:ffi";
import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { onTestFinished } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import { connect } from "../../../src/endpoint/connect.ts";
import type { Connection } from "../../../src/endpoint/connection.ts";
import { type Listener, listen } from "../../../src/endpoint/listen.ts";
import { readFully, writeFully } from "../../../src/endpoint/read.ts";
import { ZcError } from "../../../src/errors.ts";
import { pollIn, ready } from "../../../src/run-job.ts";
import { type Running, startZc } from "../../support/zc.ts";

const timeoutMs = 20_000;

export interface Relayed {
  readonly near: Connection;
  readonly far: Connection;
  readonly relay: Running;
}

/** A relay that listens, and what it listens on; it does not outlive the test. */
export async function startRelay(
  args: readonly string[],
): Promise<{ relay: Running; address: string }> {
  const relay = startZc(["relay", ...args]);
  onTestFinished(() => void relay.child.kill("SIGKILL"));
  const [, address = ""] = await relay.note(/listening on (\S+)/);
  return { relay, address };
}

/** The peer that a relay connects to. */
export async function listenHere(address = ":0"): Promise<Listener> {
  const listener = await listen(parseAddress(address));
  onTestFinished(() => listener.close());
  return listener;
}

/** The peer that connects to a relay. */
export async function connectHere(address: string, retryMs = 0): Promise<Connection> {
  return ended(await connect(parseAddress(address), { timeoutMs, retryMs }));
}

/** How a connection ends that may end before it is known to be one. */
export async function howConnectingEnds(address: string): Promise<string> {
  try {
    return await howItEnds(await connectHere(address));
  } catch (error) {
    if (error instanceof ZcError) return error.errnoName ?? error.message;
    throw error;
  }
}

export async function acceptHere(listener: Listener): Promise<Connection> {
  return ended(await listener.accept({ timeoutMs }));
}

/** One connection through a relay, which has passed something. */
export async function relayed(
  { from = ":0", to = ":0" }: { from?: string; to?: string },
  options: readonly string[] = [],
): Promise<Relayed> {
  const listener = await listenHere(to);
  const { relay, address } = await startRelay([from, listener.address, ...options]);
  const near = await connectHere(address);
  const far = await acceptHere(listener);
  await join(near, far);
  return { near, far, relay };
}

/** Something has passed: a relay is between them, and not only about to be. */
export async function join(near: Connection, far: Connection): Promise<void> {
  await say(near, greeting);
  if ((await hear(far, greeting)) !== greeting) throw new Error("nothing passes");
}

const greeting = "hello";
export const greetingSize = greeting.length;

function ended(connection: Connection): Connection {
  onTestFinished(() => connection.reset());
  return connection;
}

export async function say({ fd }: Connection, what: Uint8Array | string): Promise<void> {
  await writeFully(fd, typeof what === "string" ? Buffer.from(what) : what, { timeoutMs });
}

/** As many bytes as this text has. */
export async function hear({ fd }: Connection, { length }: { length: number }): Promise<string> {
  const bytes = Buffer.alloc(length);
  if (!(await readFully(fd, bytes, { timeoutMs }))) return "nothing";
  return bytes.toString();
}

const libc = dlopen("libc.so.6", { shutdown: { args: ["i32", "i32"], returns: "i32" } });
const shutWrite = 1;

/** It says no more, and goes on to listen. */
export function halfClose({ fd }: Connection): void {
  libc.symbols.shutdown(fd, shutWrite);
}

/** How what a peer says ends: "end", or the error's name; after how many bytes, and their hash. */
export async function hearOut({ fd }: Connection): Promise<{ how: string; hash: string }> {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(1 << 20);
  for (;;) {
    if (!(await ready(fd, pollIn, { timeoutMs }))) return { how: "no end", hash: "" };
    try {
      const got = readSync(fd, buffer);
      if (got === 0) return { how: "end", hash: hash.digest("hex") };
      hash.update(buffer.subarray(0, got));
    } catch (error) {
      return { how: (error as NodeJS.ErrnoException).code ?? "", hash: hash.digest("hex") };
    }
  }
}

export async function howItEnds(connection: Connection): Promise<string> {
  return (await hearOut(connection)).how;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
