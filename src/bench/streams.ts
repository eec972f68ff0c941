/** Several moves at once, that begin and end together. */
import type { Connection } from "../endpoint/connection.ts";
import { socketType } from "../endpoint/socket.ts";
import { eitherSignal } from "../run-job.ts";
import { familyOf } from "../transfer/meet.ts";

/** A stream on which nothing moves for so long has lost its peer. */
export const idleMsMax = 30_000;

/** Runs all; when one fails the others are stopped, and awaited, before its error is thrown. */
export async function allOrNone<T>(
  tasks: readonly ((signal: AbortSignal) => Promise<T>)[],
  signal: AbortSignal | undefined,
): Promise<T[]> {
  const stop = new AbortController();
  const either = eitherSignal(stop.signal, signal);
  let failure: { readonly error: unknown } | undefined;
  const guarded = tasks.map(async (task) => {
    try {
      return await task(either);
    } catch (error) {
      failure ??= { error };
      stop.abort(error);
      throw error;
    }
  });
  const settled = await Promise.allSettled(guarded);
  if (failure !== undefined) throw failure.error;
  return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

export function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

/** For messages, the same for every run: addresses here are made for one run each. */
export function nameOf(connection: Connection): string {
  return connection.type === socketType.datagram ? "udp" : familyOf(connection);
}
