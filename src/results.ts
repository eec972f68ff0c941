/**
 * Results for a reader who may be slow, or go away: what standard output has no room for waits here,
 * and nobody waits in write(2), where no signal is heard.
 */
import { closeSync, constants as fsConstants, openSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { type DescriptorKind, describe } from "./descriptor.ts";
import { errnoOf } from "./errors.ts";
import { resultError } from "./print.ts";
import { eitherSignal, pollOut, ready } from "./run-job.ts";

/** Bytes that may wait, before whoever asks for room does. */
const heldMax = 16 << 20;
/** For the reader to take what is left after an interrupt; ms. */
const lastMs = 200;

/**
 * Runs `action`, and ends when all that it printed is out; after an interrupt soon. The signal that
 * it gets aborts with the interrupt, and with WRITE_SINK once nobody reads, which is thrown too.
 */
export async function withResults<T>(
  interrupt: AbortSignal,
  action: (results: Results, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const results = new Results(1, interrupt);
  try {
    return await action(results, results.signal);
  } finally {
    await results.end();
  }
}

export class Results {
  /** Aborts with the interrupt, and with WRITE_SINK. */
  readonly signal: AbortSignal;
  readonly #interrupt: AbortSignal;
  readonly #sink: Sink;
  /** Text as it is: an array of bytes for each line would take many times its size. */
  readonly #queue: (string | Uint8Array)[] = [];
  /** Bytes that are not out. */
  #size = 0;
  #flushing: Promise<void> | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  readonly #failed = new AbortController();
  readonly #stop = new AbortController();

  /** The descriptor is borrowed until `end`. */
  constructor(fd: number, interrupt: AbortSignal) {
    this.#interrupt = interrupt;
    this.#sink = openSink(fd);
    this.signal = eitherSignal(this.#failed.signal, interrupt);
    this.signal.addEventListener("abort", () => this.#room?.reject(this.signal.reason));
  }

  /** A line. */
  print(text: string): void {
    this.#queueUp(`${text}\n`, Buffer.byteLength(text) + 1);
  }

  /** The bytes are taken over. */
  write(bytes: Uint8Array): void {
    this.#queueUp(bytes, bytes.length);
  }

  /** Once nobody reads, it is dropped: the signal has told. */
  #queueUp(what: string | Uint8Array, size: number): void {
    if (this.#failed.signal.aborted) return;
    this.#queue.push(what);
    this.#size += size;
    this.#flushing ??= this.#flush();
  }

  /** undefined: there is room; else resolves once there is. Throws the signal's reason. */
  room(): Promise<void> | undefined {
    if (this.#size <= heldMax) return undefined;
    if (this.signal.aborted) return Promise.reject(this.signal.reason);
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Resolves when all is out. Throws WRITE_SINK, and the interrupt where something was left. */
  async end(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hurry = () => {
      timer = setTimeout(() => this.#stop.abort(), lastMs);
    };
    if (this.#interrupt.aborted) hurry();
    this.#interrupt.addEventListener("abort", hurry);
    await this.#flushing;
    this.#interrupt.removeEventListener("abort", hurry);
    clearTimeout(timer);
    this.#sink.close();
    this.#failed.signal.throwIfAborted();
    if (this.#size > 0) this.#interrupt.throwIfAborted();
  }

  async #flush(): Promise<void> {
    try {
      while (this.#queue.length > 0) await this.#writeAll(joined(this.#queue.splice(0)));
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failed.abort(error);
    }
    this.#flushing = undefined;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    const { fd, portion, canBlock } = this.#sink;
    let isFull = false;
    for (let rest = bytes; rest.length > 0; ) {
      if (canBlock || isFull) await ready(fd, pollOut, { signal: this.#stop.signal });
      const written = writeSome(fd, rest.subarray(0, portion));
      isFull = written === 0;
      rest = rest.subarray(written);
      this.#took(written);
    }
  }

  #took(bytes: number): void {
    this.#size -= bytes;
    if (this.#size > heldMax) return;
    this.#room?.resolve();
    this.#room = undefined;
  }
}

function joined(queue: readonly (string | Uint8Array)[]): Uint8Array {
  if (queue.every((each) => typeof each === "string")) return Buffer.from(queue.join(""));
  return Buffer.concat(queue.map((each) => (typeof each === "string" ? Buffer.from(each) : each)));
}

interface Sink {
  readonly fd: number;
  /** Bytes that one write gets. */
  readonly portion: number;
  /** Unless poll(2) was asked before. */
  readonly canBlock: boolean;
  readonly close: () => void;
}

const portionMax = 1 << 20;
/** What a pipe or a socket has room for once poll(2) calls it writable: pipe(7), PIPE_BUF. */
const portionSure = 4096;
const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fsConstants;

function openSink(fd: number): Sink {
  const close = () => {};
  if (!mayBlock.has(kindOf(fd))) return { fd, portion: portionMax, canBlock: false, close };
  try {
    // One more open file, since a flag of ours would be everybody's who shares this one.
    const own = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    return { fd: own, portion: portionMax, canBlock: false, close: () => closeSync(own) };
  } catch {
    return { fd, portion: portionSure, canBlock: true, close }; // a socket, or somebody else's
  }
}

const mayBlock = new Set<DescriptorKind | undefined>(["pipe", "tty", "socket", "device"]);

function kindOf(fd: number): DescriptorKind | undefined {
  try {
    return describe(fd).kind;
  } catch {
    return undefined; // closed: who writes is told
  }
}

/** How many bytes were taken. Throws WRITE_SINK. */
function writeSome(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === constants.errno.EAGAIN) return 0;
    throw resultError(errno);
  }
}
