/** Jobs that end when an AbortSignal says so. */
import { type Job, type JobStats, startJob } from "../ffi/job.ts";
import { library } from "../ffi/library.ts";
import { waitStruct } from "../ffi/structs.ts";
import { ZcError } from "./errors.ts";

/** poll(2). */
export const pollIn = 1;
export const pollOut = 4;
/** No event asked for: only errors and hang-ups, which are always told. */
export const pollNothing = 0;

const ETIMEDOUT = 110;

/** A job that started, or the error that its -errno stands for. */
export function started(job: Job | number, operation: string): Job {
  if (typeof job !== "number") return job;
  throw new ZcError({ code: "UNSUPPORTED", operation, errno: -job });
}

/** The final counters. When the signal aborts, the job is ended first; then its reason is thrown. */
export async function finished(job: Job, signal?: AbortSignal): Promise<JobStats> {
  const cancel = () => job.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const stats = await job.ended;
    signal?.throwIfAborted();
    return stats;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** Aborted when either is; many callers have no signal of their own. */
export function eitherSignal(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? one : AbortSignal.any([one, other]);
}

/** A job that waits for `events` on `fd`; `timeoutMs` undefined: for ever. */
export function startWait(fd: number, events: number, timeoutMs?: number): Job {
  const options = { fd, events, timeout_ms: timeoutMs ?? -1 };
  return started(startJob(library().zc_wait_start, waitStruct, options), "wait");
}

/** Whether `fd` became ready before the time was over. */
export async function ready(
  fd: number,
  events: number,
  { timeoutMs, signal }: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const { error } = await finished(startWait(fd, events, timeoutMs), signal);
  if (error === ETIMEDOUT) return false;
  if (error !== 0) throw new ZcError({ code: "CONNECT", operation: "poll", errno: error });
  return true;
}

/** Resolves after this time, or rejects with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", abort);
    resolve();
  }, ms);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  return promise;
}
