/** Sends a file or a stream, and tells the truth about its end. */
import type { Connection } from "../endpoint/connection.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { Digest } from "./digest.ts";
import { finish } from "./finish.ts";
import { familyOf, meet } from "./meet.ts";
import { becameShorter, Move, type MoveResult } from "./move.ts";
import { liveTransfer, refusalHint, type TransferOptions } from "./options.ts";
import { type Mode, plan } from "./plan.ts";
import { openSource, type Source } from "./source.ts";
import { type Summary, startClock, summarize } from "./summary.ts";

export interface SendOptions extends TransferOptions {
  /** A path; undefined or "-": standard input. */
  readonly file?: string | undefined;
  readonly mode?: Mode | "auto" | undefined;
  /** All is sent, but the connection does not end before this is fulfilled. */
  readonly endAfter?: Promise<unknown> | undefined;
}

/**
 * Resolves once the peer has acknowledged every byte. On any failure the connection is reset, so
 * that no receiver takes a part for the whole. Throws ZcError.
 */
export async function send(options: SendOptions): Promise<Summary> {
  using source = await openSource(options.file, options.signal);
  using connection = await meet(options, options.role ?? "connect");
  const summary = await sendOver(connection, source, options);
  connection.close();
  return summary;
}

async function sendOver(
  connection: Connection,
  source: Source,
  options: SendOptions,
): Promise<Summary> {
  using digest = options.checksum ? new Digest("xxh3") : undefined;
  const clock = startClock();
  const total = source.length && Math.min(source.length, options.bytes ?? Number.POSITIVE_INFINITY);
  const move = new Move({
    source: { fd: source.descriptor.fd, name: source.name, isSocket: false },
    sink: { fd: connection.fd, name: connection.peer, isSocket: true },
    plan: plan(
      {
        direction: "send",
        family: familyOf(connection),
        local: source.descriptor.kind,
        inspect: digest !== undefined,
        vsockSendMax: vsockSendMax(),
      },
      options.mode ?? "auto",
    ),
    limit: options.bytes,
    rate: options.rate,
    chunk: options.chunk,
    depth: options.depth,
    digest,
    watchSink: source.descriptor.kind !== "file",
    idleMs: options.timeoutMs,
    refusalHint,
    signal: options.signal,
  });
  options.onStart?.(liveTransfer(connection.peer, total ?? options.bytes, move));
  const result = await move.run();
  assertWhole(source, result, total);
  await options.endAfter;
  const { end, discarded } = await finish(connection, options);
  return summarize({
    ...result,
    counters: {
      ...result.counters,
      discarded: result.counters.discarded + discarded,
    },
    clock: clock(),
    connection,
    end,
    checksum: digest?.value(),
  });
}

/** A file that became shorter while it was sent did not arrive as it was. */
function assertWhole(
  source: Source,
  { end, counters }: MoveResult,
  total: number | undefined,
): void {
  if (total === undefined || end !== "eof" || counters.bytes >= total) return;
  throw becameShorter(source.name, `it had ${total} bytes, and ended after ${counters.bytes}`);
}
