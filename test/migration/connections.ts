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

/**
 * Listens at `path` for one connection, and passes what comes to `destination`, and back; `recorded`
 * has what went there and what came back.
 */
export async function recordingProxy(
  path: string,
  destination: string,
): Promise<{ recorded: Promise<readonly Buffer[]> }> {
  const { promise: recorded, resolve, reject } = Promise.withResolvers<readonly Buffer[]>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    server.close();
    const far = createConnection({ path: destination, allowHalfOpen: true });
    Promise.all([bytesOf(near), bytesOf(far)]).then(resolve, reject);
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  return { recorded };
}

/** Sends each file over a connection of its own to `path`, in this order; ignores what comes back. */
export async function replay(files: readonly string[], path: string): Promise<void> {
  for (const file of files) {
    const socket = createConnection(path);
    await new Promise<void>((connected, failed) => {
      socket.once("connect", connected).once("error", failed);
    });
    socket.resume().end(readFileSync(file));
  }
}

function bytesOf(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("end", () => resolve(Buffer.concat(chunks)));
  socket.on("error", reject);
  return promise;
}
