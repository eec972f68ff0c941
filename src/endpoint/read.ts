/** Small reads and writes of what is said beside the data: greetings, control messages. */
import { readSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { errnoOf } from "../errors.ts";
import { pollIn, pollOut, ready } from "../run-job.ts";

export interface WaitLimits {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const { EAGAIN, ECONNRESET } = constants.errno;

/** Waits, and reads what is there: how many bytes, 0 at the end, undefined when time is over. */
export async function readSome(
  fd: number,
  buffer: Uint8Array,
  limits: WaitLimits,
): Promise<number | undefined> {
  if (!(await ready(fd, pollIn, limits))) return undefined;
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if (errnoOf(error) === ECONNRESET) return 0;
    throw error;
  }
}

/** Exactly as many bytes as the buffer has; false when they did not come. */
export async function readFully(
  fd: number,
  buffer: Uint8Array,
  { timeoutMs, signal }: WaitLimits,
): Promise<boolean> {
  const deadline = Date.now() + (timeoutMs ?? 0);
  for (let at = 0; at < buffer.length; ) {
    const left = timeoutMs === undefined ? undefined : Math.max(0, deadline - Date.now());
    const got = await readSome(fd, buffer.subarray(at), { timeoutMs: left, signal });
    if (got === undefined || got === 0) return false;
    at += got;
  }
  return true;
}

/** All of it, waiting where it must, for so long each time. Throws what write(2) says. */
export async function writeFully(fd: number, data: Uint8Array, limits: WaitLimits): Promise<void> {
  for (let rest = data; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (errnoOf(error) !== EAGAIN) throw error;
      if (!(await ready(fd, pollOut, limits))) throw error;
    }
  }
}
