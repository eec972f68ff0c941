/** What the file system refuses, as errors of ours. */
import { writeSync } from "node:fs";
import { type ErrorCode, errnoOf, ZcError } from "./errors.ts";

/** Throws READ_SOURCE for what `action` is refused. */
export function reading<T>(subject: string, action: () => T, operation = "read"): T {
  return attempt("READ_SOURCE", operation, subject, action);
}

/** Throws WRITE_SINK for what `action` is refused. */
export function writing<T>(subject: string, action: () => T, operation = "write"): T {
  return attempt("WRITE_SINK", operation, subject, action);
}

/** All of it, from `position` on. Throws what pwrite(2) says. */
export function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; )
    at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

function attempt<T>(code: ErrorCode, operation: string, subject: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof ZcError) throw error;
    throw new ZcError({ code, operation, subject, errno: errnoOf(error) });
  }
}
