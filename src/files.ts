/** What the file system refuses, as errors of ours. */
import { closeSync, open, writeSync } from "node:fs";
import { type ErrorCode, errnoOf, ZcError } from "./errors.ts";

/** Throws READ_SOURCE for what `action` is refused. */
export function reading<T>(subject: string, action: () => T, operation = "read"): T {
  return attempt("READ_SOURCE", operation, subject, action);
}

/** Throws WRITE_SINK for what `action` is refused. */
export function writing<T>(subject: string, action: () => T, operation = "write"): T {
  return attempt("WRITE_SINK", operation, subject, action);
}

export interface OpenOptions {
  /** What it throws where open(2) says no. */
  readonly code: "READ_SOURCE" | "WRITE_SINK";
  readonly signal?: AbortSignal | undefined;
}

/**
 * open(2), which waits for the other end of a pipe that has a name, on another thread: a signal is
 * heard meanwhile. Throws `code`, and the signal's reason.
 */
export async function openFile(
  file: string,
  flags: number,
  { code, signal }: OpenOptions,
): Promise<number> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  open(file, flags, (error, fd) => {
    if (error !== null)
      reject(new ZcError({ code, operation: "open", subject: file, errno: errnoOf(error) }));
    else if (signal?.aborted) closeSync(fd);
    else resolve(fd);
  });
  return await promise.finally(() => signal?.removeEventListener("abort", abort));
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
