/** A limit on how long something may take. */
import { ZcError } from "../../errors.ts";
import { eitherSignal } from "../../run-job.ts";

export interface Limit {
  /** undefined: for ever. */
  readonly ms?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `action` comes to, which ends when its signal aborts. Throws TIMEOUT; `what` is for that. */
export async function within<T>(
  { ms, signal }: Limit,
  what: string,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const abort = () => over.abort(tooLate(what, ms ?? 0));
  const timer = ms === undefined ? undefined : setTimeout(abort, ms);
  try {
    return await action(eitherSignal(over.signal, signal));
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(what: string, ms: number): ZcError {
  const reason = `it did not come within ${ms / 1e3} s`;
  return new ZcError({ code: "TIMEOUT", operation: "wait for", subject: what, reason });
}
