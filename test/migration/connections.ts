/** A migration's connections, recorded and replayed. */
import { readFileSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";

/** Listens at `path`; `recorded` has what came over each of `count` connections, once all ended. */
export async function recorder(
  path: string,
  count: number,
): Promise<{ recorded: Promise<readonly Buffer[]> }> {
  const { promise: recorded, resolve, reject } = Promise.withResolvers<readonly Buffer[]>();
  const ends: Promise<Buffer>[] = [];
  const server = createServer((socket) => {
    ends.push(bytesOf(socket));
    if (ends.length < count) return;
    server.close();
    Promise.all(ends).then(resolve, reject);
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  return { recorded };
}

/** What went over a connection, and what came back. */
export interface Exchange {
  readonly there: Buffer;
  readonly back: Buffer;
}

/**
 * Listens at `path`, and passes what comes over each of `count` connections to `destination`, and
 * back; `recorded` has it, in the order of the connections, once all ended.
 */
export async function recordingProxy(
  path: string,
  destination: string,
  count: number,
): Promise<{ recorded: Promise<readonly Exchange[]> }> {
  const { promise: recorded, resolve, reject } = Promise.withResolvers<readonly Exchange[]>();
  const exchanges: Promise<Exchange>[] = [];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = createConnection({ path: destination, allowHalfOpen: true });
    exchanges.push(exchanged(near, far));
    near.pipe(far);
    far.pipe(near);
    if (exchanges.length < count) return;
    server.close();
    Promise.all(exchanges).then(resolve, reject);
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  return { recorded };
}

/**
 * Sends each file over a connection of its own to `path`, in this order; ignores what comes back. The
 * others end with the first, as QEMU's do.
 */
export async function replay(files: readonly string[], path: string): Promise<void> {
  let first: Socket | undefined;
  for (const file of files) {
    const socket = createConnection(path);
    await new Promise<void>((connected, failed) => {
      socket.once("connect", connected).once("error", failed);
    });
    socket.resume().write(readFileSync(file));
    if (first === undefined) first = socket.end();
    else first.once("close", () => socket.end());
  }
}

async function exchanged(near: Socket, far: Socket): Promise<Exchange> {
  const [there, back] = await Promise.all([bytesOf(near), bytesOf(far)]);
  return { there, back };
}

function bytesOf(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("end", () => resolve(Buffer.concat(chunks)));
  socket.on("error", reject);
  return promise;
}
