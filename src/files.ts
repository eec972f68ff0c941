/** What the file system refuses, as errors of ours. */
import { type ErrorCode, errnoOf, ZcError } from "./errors.ts";

/** Throws READ_SOURCE for what `action` is refused. */
export function reading<T>(subject: string, action: () => T, operation = "read"): T {
  return attempt("READ_SOURCE", operation, subject, action);
}

/** Throws WRITE_SINK for what `action` is refused. */
export function writing<T>(subject: string, action: () => T, operation = "write"): T {
  return attempt("WRITE_SINK", operation, subject, action);
}

function attempt<T>(code: ErrorCode, operation: string, subject: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ZcError) throw error;
    throw new ZcError({ code, operation, subject, errno: errnoOf(error) });
  }
}
