/** Receives a stream into a file or a pipe, and checks what it can of its end. */
import { mkdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { parseExpected } from "../checksum.ts";
import type { Connection } from "../endpoint/connection.ts";
import { ZcError } from "../errors.ts";
import { writing } from "../files.ts";
import { eitherSignal, pollIn, ready } from "../run-job.ts";
import type { CardQueue } from "./card-queue.ts";
import { Digest } from "./digest.ts";
import { acceptFrom, familyOf, listenOn, meet } from "./meet.ts";
import { Move, type MoveResult } from "./move.ts";
import { liveTransfer, refusalHint, type TransferOptions } from "./options.ts";
import { type Output, type OutputOptions, openOutput } from "./output.ts";
import { plan, type receiveModes } from "./plan.ts";
import { type Summary, startClock, summarize } from "./summary.ts";

export interface ReceiveOptions extends TransferOptions, OutputOptions {
  /** A path; undefined or "-": standard output. */
  readonly file?: string | undefined;
  readonly mode?: (typeof receiveModes)[number] | "auto" | undefined;
  /** For mode zcrx; not said: the device-less form, in which the kernel copies. */
  readonly cardQueue?: CardQueue | undefined;
  /** Leave holes where whole blocks are zero. */
  readonly sparse?: boolean | undefined;
  /** Bytes that must arrive: fewer or more is TRUNCATED. */
  readonly size?: number | undefined;
  /** "xxh3:HEX" or "sha256:HEX" that the content must have; else CHECKSUM. */
  readonly expect?: string | undefined;
}

/** A sender that has sent all it should, and says nothing more, need not close: this is enough. */
const afterSizeMs = 1000;

/** Takes one connection. Resolves once everything arrived, and has its final name. Throws ZcError. */
export async function receive(options: ReceiveOptions): Promise<Summary> {
  using output = await openOutput(options.file, options, options.signal);
  using connection = await meet(options, options.role ?? "listen");
  return await receiveFrom(connection, output, options);
}

/**
 * Takes one connection after another, until the signal aborts. `onEnd` is told how each ended;
 * an error ends that connection alone.
 */
export async function receiveAll(
  options: ReceiveOptions,
  onEnd: (result: Summary | ZcError) => void,
): Promise<never> {
  const listener = await listenOn(options);
  try {
    for (;;) {
      const connection = await acceptFrom(listener, options);
      onEnd(await receiveOne(connection, options));
    }
  } finally {
    listener.close();
  }
}

/**
 * Takes `count` connections at once, each into a file of its own in the folder `options.file`:
 * "connection-0" and so on, as they came. `onEnd` is told of each. Throws what ended the first that
 * failed; the others are reset.
 */
export async function receiveTogether(
  options: ReceiveOptions & { readonly file: string },
  count: number,
  onEnd: (summary: Summary) => void,
): Promise<void> {
  const stop = new AbortController();
  const each = { ...options, signal: eitherSignal(stop.signal, options.signal) };
  const receiving: Promise<void>[] = [];
  writing(options.file, () => mkdirSync(options.file, { recursive: true }), "make");
  const listener = await listenOn(options);
  try {
    for (let number = 0; number < count; number++) {
      const connection = await acceptFrom(listener, each);
      const one = receiveNumbered(connection, number, each).then(onEnd);
      one.catch((error) => stop.abort(error));
      receiving.push(one);
    }
    await Promise.all(receiving);
  } finally {
    listener.close();
    stop.abort();
    await Promise.allSettled(receiving);
  }
}

async function receiveNumbered(
  accepted: Connection,
  number: number,
  options: ReceiveOptions & { readonly file: string },
): Promise<Summary> {
  using connection = accepted;
  const file = join(options.file, `connection-${number}`);
  using output = await openOutput(file, options, options.signal);
  return await receiveFrom(connection, output, options);
}

async function receiveOne(
  accepted: Connection,
  options: ReceiveOptions,
): Promise<Summary | ZcError> {
  using connection = accepted;
  try {
    using output = await openOutput(options.file, options, options.signal);
    return await receiveFrom(connection, output, options);
  } catch (error) {
    if (error instanceof ZcError) return error;
    throw error;
  }
}

/** Commits the output, and closes the connection, when all is as it should be. */
async function receiveFrom(
  connection: Connection,
  output: Output,
  options: ReceiveOptions,
): Promise<Summary> {
  const summary = await receiveOver(connection, output, options);
  output.commit();
  connection.close();
  return summary;
}

async function receiveOver(
  connection: Connection,
  output: Output,
  options: ReceiveOptions,
): Promise<Summary> {
  const expected = options.expect === undefined ? undefined : parseExpected(options.expect);
  const algorithm = expected?.algorithm ?? (options.checksum ? "xxh3" : undefined);
  using digest = algorithm === undefined ? undefined : new Digest(algorithm);
  const clock = startClock();
  const { kind, append } = output.descriptor;
  const move = new Move({
    source: { fd: connection.fd, name: connection.peer, isSocket: true },
    sink: { fd: output.descriptor.fd, name: output.name, isSocket: false },
    plan: plan(
      {
        direction: "receive",
        family: familyOf(connection),
        local: kind,
        append,
        inspect: digest !== undefined || options.sparse === true,
      },
      options.mode ?? "auto",
    ),
    limit: options.bytes ?? options.size,
    rate: options.rate,
    chunk: options.chunk,
    depth: options.depth,
    digest,
    sparse: options.sparse,
    cardQueue: options.cardQueue,
    idleMs: options.timeoutMs,
    refusalHint,
    signal: options.signal,
  });
  options.onStart?.(liveTransfer(connection.peer, options.size ?? options.bytes, move));
  const result = await move.run();
  await assertSize(connection, result, options);
  const checksum = digest?.value();
  assertChecksum(connection, checksum, expected);
  const verified = options.size !== undefined || expected !== undefined;
  return summarize({
    ...result,
    clock: clock(),
    connection,
    end: verified ? "verified" : "unverified",
    checksum,
  });
}

/** Exactly `size` bytes: the move stopped there, so only one byte more has to be ruled out. */
async function assertSize(
  connection: Connection,
  { end, counters }: MoveResult,
  { size, bytes, signal }: ReceiveOptions,
): Promise<void> {
  if (size === undefined || bytes !== undefined) return;
  const more = end === "limit" && (await hasMore(connection.fd, signal));
  if (counters.bytes === size && !more) return;
  throw new ZcError({
    code: "TRUNCATED",
    operation: "receive from",
    subject: connection.peer,
    reason: more
      ? `more than the ${size} bytes of --size arrived`
      : `it ended after ${counters.bytes} of ${size} bytes`,
  });
}

async function hasMore(fd: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (!(await ready(fd, pollIn, { timeoutMs: afterSizeMs, signal }))) return false;
  try {
    return readSync(fd, new Uint8Array(1), 0, 1, null) > 0;
  } catch {
    return false; // a reset after the last byte takes nothing away
  }
}

function assertChecksum(
  { peer }: Connection,
  checksum: string | undefined,
  expected: { algorithm: string; hex: string } | undefined,
): void {
  if (expected === undefined) return;
  const wanted = `${expected.algorithm}:${expected.hex}`;
  if (checksum === wanted) return;
  throw new ZcError({
    code: "CHECKSUM",
    operation: "receive from",
    subject: peer,
    reason: `the content is ${checksum}, not ${wanted}`,
  });
}
