/** A socket that carries vfio-user's messages: C reads and writes it, whole messages come here. */
import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { type Job, type JobStats, startJob } from "./job.ts";
import { library } from "./library.ts";
import {
  linkCallsStruct,
  linkDataStruct,
  linkStruct,
  messageSizeBad,
  messageStruct,
  regionFlag,
  regionStruct,
} from "./structs.ts";

/** A message as it came; the descriptors are the receiver's to close. */
export interface RawMessage {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
  /** More descriptors came than a message can have: they are closed. */
  readonly fdsLost: boolean;
  /** Its size is no size: only the header is there, and nothing more will come. */
  readonly sizeBad: boolean;
}

export interface LinkOptions {
  /** Bytes of the largest message that is taken, with its header. */
  readonly sizeMax: number;
  /** Bytes that may wait on either side of us. */
  readonly heldMax: number;
  /** Something may have arrived, or there may be room to send again. */
  readonly onNews: () => void;
}

/** A region that is memory and nothing else; the memory is borrowed until the link has ended. */
export interface ServedRegion {
  readonly index: number;
  readonly memory: Uint8Array;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Bytes of one access. */
  readonly countMax: number;
  /** A bit for each 4096 bytes that were written, the lowest of the first word first. */
  readonly dirty?: BigUint64Array | undefined;
}

/** Migration data, between the device at the other end and a descriptor. */
export interface LinkData {
  /** Borrowed until the job has ended. */
  readonly fd: number;
  /** Bytes a message. */
  readonly size: number;
  /** Bytes; undefined: all. */
  readonly limit?: number | undefined;
}

/** One call, made over and over. */
export interface LinkCalls {
  /** The whole message; its id is not used. */
  readonly request: Uint8Array;
  /** Under way at once. */
  readonly depth: number;
  readonly durationMs: number;
  /** Of LatencyHistogram: how long they took. Borrowed until the job has ended. */
  readonly counts: BigUint64Array;
}

const empty = new Uint8Array(0);
const noFds = new Int32Array(0);
/** Most messages are small: the others are asked for again, with room for them. */
const usualSize = 4096;
const { EAGAIN, EMSGSIZE, EPIPE } = constants.errno;

/** Owns nothing but the job: the socket stays the caller's until `ended`. */
export class Link {
  /** The final counters: `end` or `error` say why. */
  readonly ended: Promise<JobStats>;
  readonly #job: Job;
  readonly #message = messageStruct.allocate();
  readonly #room = new Uint8Array(usualSize);
  /** What arrived before it ended, and nobody had taken. */
  readonly #last: RawMessage[] = [];
  /** What C may look at as long as it runs. */
  readonly #borrowed = new Map<number, unknown>();

  private constructor(job: Job) {
    this.#job = job;
    this.ended = job.ended;
  }

  /** Takes over a non-blocking, connected unix stream socket. Returns it, or a negative errno. */
  static start(fd: number, { sizeMax, heldMax, onNews }: LinkOptions): Link | number {
    const settings = { fd, size_max: sizeMax, held_max: heldMax };
    const job = startJob(library().zc_link_start, linkStruct, settings, (_, hasEnded) => {
      if (hasEnded) link.#takeRest();
      onNews();
    });
    if (typeof job === "number") return job;
    const link: Link = new Link(job);
    return link;
  }

  /** What C knows it by, for jobs that call over it; 0 once it has ended. */
  get handle(): number {
    return this.#job.handle;
  }

  /** The next message, if there is one. */
  take(): RawMessage | undefined {
    return this.#last.shift() ?? this.#take();
  }

  /** The oldest message that was taken is done with. */
  settle(): void {
    if (this.handle !== 0) library().zc_link_settle(this.handle);
  }

  /**
   * Sends one message, made of two parts, and copies of the descriptors; waits for nothing. Whether
   * it was taken: if not, too much is waiting, and there will be news. Negative errno: it broke.
   */
  send(head: Uint8Array, tail: Uint8Array = empty, fds: readonly number[] = []): boolean | number {
    if (this.handle === 0) return -EPIPE;
    const all = fds.length === 0 ? noFds : Int32Array.from(fds);
    const result = library().zc_link_send(
      ...([this.handle, head, head.length, tail, tail.length, all, all.length] as const),
    );
    if (result === -EAGAIN) return false;
    return result < 0 ? result : true;
  }

  /**
   * Answers reads and writes of a region in C, as long as nothing before them waits for us; neither
   * readable nor writable: no longer.
   */
  serve({ index, memory, readable, writable, countMax, dirty }: ServedRegion): void {
    if (this.handle === 0) return;
    this.#borrowed.set(index, [memory, dirty]);
    const settings = regionStruct.pack({
      address: addressOf(memory),
      size: memory.length,
      dirty: dirty === undefined ? 0 : addressOf(dirty),
      index,
      flags: (readable ? regionFlag.read : 0) | (writable ? regionFlag.write : 0),
      count_max: countMax,
    });
    library().zc_link_serve(this.handle, settings);
  }

  /** From the device to the descriptor: c/zc.h, zc_link_pull_start. The job, or a negative errno. */
  pull(data: LinkData): Job | number {
    return this.#startData(library().zc_link_pull_start, data);
  }

  /** From the descriptor, to its end, to the device. The job, or a negative errno. */
  push(data: LinkData): Job | number {
    return this.#startData(library().zc_link_push_start, data);
  }

  /** Calls for so long. The job, or a negative errno. */
  call({ request, depth, durationMs, counts }: LinkCalls): Job | number {
    if (this.handle === 0) return -EPIPE;
    const settings = {
      link: this.handle,
      request: ptr(request),
      request_size: request.length,
      limit: -1,
      duration: Math.round(durationMs * 1e6),
      counts: ptr(counts),
      depth,
    };
    return startJob(library().zc_link_calls_start, linkCallsStruct, settings);
  }

  /** Ends it once all that was sent is out. */
  end(): void {
    if (this.handle !== 0) library().zc_link_end(this.handle);
  }

  /** Ends it at once. */
  cancel(): void {
    this.#job.cancel();
  }

  #startData(
    start: (options: Uint8Array) => number | bigint,
    { fd, size, limit = -1 }: LinkData,
  ): Job | number {
    if (this.handle === 0) return -EPIPE;
    return startJob(start, linkDataStruct, { link: this.handle, limit, size, fd });
  }

  #takeRest(): void {
    for (let next = this.#take(); next !== undefined; next = this.#take()) this.#last.push(next);
  }

  #take(): RawMessage | undefined {
    if (this.handle === 0) return undefined;
    let room = this.#room;
    let result = this.#takeInto(room);
    if (result === -EMSGSIZE) {
      room = new Uint8Array(messageStruct.unpack(this.#message).size);
      result = this.#takeInto(room);
    }
    if (result <= 0) return undefined;
    const { size, flags, fd_count, fds_lost, fds } = messageStruct.unpack(this.#message);
    return {
      bytes: room === this.#room ? room.slice(0, size) : room,
      fds: fd_count === 0 ? [] : [...new Int32Array(fds.buffer, fds.byteOffset, fd_count)],
      fdsLost: fds_lost > 0,
      sizeBad: (flags & messageSizeBad) !== 0,
    };
  }

  #takeInto(room: Uint8Array): number {
    return library().zc_link_take(this.handle, room, room.length, this.#message);
  }
}

/** It stays: Bun moves the bytes of a small array when its buffer is first asked for, and not again. */
function addressOf({ buffer, byteOffset }: Uint8Array | BigUint64Array): number {
  return ptr(buffer, byteOffset);
}
