/**
 * Jobs: what C does on threads of its own. JavaScript starts one, may look at its counters at any
 * moment, may cancel it, and is woken once when it ends.
 */
import { ptr } from "bun:ffi";
import { library } from "./library.ts";
import type { Fields, Struct, Values } from "./struct.ts";
import { jobState, statsStruct } from "./structs.ts";

export type JobStats = ReturnType<typeof statsStruct.readAt>;

/** A cancelled job can miss the request just before a system call: it is repeated so often. */
const cancelRepeatMs = 10;

/** Called when the job may have something for its owner; once more, the last time, at its end. */
export type OnNews = (handle: number, hasEnded: boolean) => void;

export class Job {
  /** The final counters, once the job has ended; an error is in them, never thrown. */
  readonly ended: Promise<JobStats>;
  #handle: number;
  readonly #onNews: OnNews | undefined;
  #final: JobStats | undefined;
  #repeat: ReturnType<typeof setInterval> | undefined;
  readonly #resolve: (stats: JobStats) => void;

  constructor(handle: number, onNews?: OnNews) {
    const { promise, resolve } = Promise.withResolvers<JobStats>();
    this.#handle = handle;
    this.#onNews = onNews;
    this.ended = promise;
    this.#resolve = resolve;
  }

  /** The counters as they are now. */
  get stats(): JobStats {
    return this.#final ?? statsStruct.readAt(this.#handle);
  }

  /** What C knows it by; 0 once it has ended. */
  get handle(): number {
    return this.#handle;
  }

  /** Asks the job to end, with ECANCELED. `ended` tells when it has. */
  cancel(): void {
    if (this.#final !== undefined || this.#repeat !== undefined) return;
    const ask = () => library().zc_job_cancel(this.#handle);
    ask();
    this.#repeat = setInterval(ask, cancelRepeatMs);
  }

  /** Passes the news on; takes the counters and frees the job if it has ended. For the waker alone. */
  settle(): boolean {
    const hasEnded = statsStruct.readField(this.#handle, "state") === jobState.ended;
    try {
      this.#onNews?.(this.#handle, hasEnded);
    } catch (error) {
      queueMicrotask(() => {
        throw error; // nobody's here: other jobs have news too
      });
    }
    if (!hasEnded) return false;
    this.#final = statsStruct.readAt(this.#handle);
    clearInterval(this.#repeat);
    library().zc_job_free(this.#handle);
    this.#handle = 0;
    this.#resolve(this.#final);
    return true;
  }
}

/** Packs `options`, adds the eventfd, and starts the job. Returns it, or a negative errno. */
export function startJob<F extends Fields>(
  start: (options: Uint8Array) => number | bigint,
  struct: Struct<F>,
  options: Partial<Values<F>>,
  onNews?: OnNews,
): Job | number {
  statsStruct.verify(); // not only when the job has ended
  const handle = Number(
    start(struct.pack({ ...options, event_fd: waker.fd() } as Partial<Values<F>>)),
  );
  if (handle < 0) return handle;
  const job = new Job(handle, onNews);
  waker.add(job);
  return job;
}

/**
 * One pair of sockets for all jobs: C writes into one end, Bun's own loop reads the other, which
 * takes no other thread. It keeps Bun alive only while a job runs.
 */
class Waker {
  readonly #running = new Set<Job>();
  #fd = -1;
  #socket: Bun.Socket | undefined;

  /** C's end: it does not block, and what it has no room for was told already. */
  fd(): number {
    if (this.#fd < 0) this.#open();
    return this.#fd;
  }

  add(job: Job): void {
    this.#running.add(job);
    this.#socket?.ref();
  }

  #open(): void {
    const pair = new Int32Array(2);
    const error = library().zc_socket_pair(ptr(pair));
    if (error < 0) throw new Error(`socketpair: errno ${-error}`);
    const [fd = -1, theirs = -1] = pair;
    const open = (socket: Bun.Socket) => {
      this.#socket = socket;
    };
    const options: Bun.FdSocketOptions = { fd, socket: { open, data: () => this.#settle() } };
    // Its types have these options, but no function that takes them.
    void Bun.connect(options as Bun.SocketOptions as Bun.UnixSocketOptions);
    this.#fd = theirs;
  }

  #settle(): void {
    for (const job of this.#running) if (job.settle()) this.#running.delete(job);
    if (this.#running.size === 0) this.#socket?.unref();
  }
}

const waker = new Waker();
