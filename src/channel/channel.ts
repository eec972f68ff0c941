/**
 * A channel: writes that do not copy, and give their memory back when the kernel has let go of it.
 * In between nobody has it: the views are detached, so that nothing can touch what may still be
 * sent, or sent again (Documentation/networking/msg_zerocopy.rst).
 */
import { constants } from "node:os";
import { endChannel, type RawCompletion, startChannel, writeChannel } from "../../ffi/channel.ts";
import type { Job, JobStats } from "../../ffi/job.ts";
import { channelDepthMax, channelPartsMax, noTag } from "../../ffi/structs.ts";
import type { Address } from "../address/index.ts";
import { type ConnectOptions, connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { sendError } from "../endpoint/send-error.ts";
import { socketType } from "../endpoint/socket.ts";
import { usageError, ZcError } from "../errors.ts";
import { started } from "../run-job.ts";
import { finish } from "../transfer/finish.ts";
import { type ChannelMode, type Choice, choose, worthwhile } from "./choose.ts";
import { type Memory, take, WriteError } from "./memory.ts";

export interface ChannelOptions {
  /**
   * `auto`: without copies where that pays. `msg-zerocopy`: that or an error, UNSUPPORTED, where the
   * socket cannot or memory is too short. `io-uring`: the same by io_uring, many writes a system
   * call. `copy`: always.
   */
  readonly mode?: ChannelMode | undefined;
  /** Writes in flight, 1 to 1024; more wait in line. */
  readonly depth?: number | undefined;
  /** Bytes a send at most; a longer write is sent in several, a datagram never. */
  readonly chunk?: number | undefined;
}

/** A write that the kernel has let go of. That says nothing of its arrival. */
export interface Completion {
  /** The memory: new views, where those that were written were. */
  readonly buffers: readonly Memory[];
  readonly bytes: number;
  /** Whether any of it was copied; undefined where the kernel does not tell. */
  readonly copied: boolean | undefined;
  /** From the write until the kernel let go; nanoseconds. */
  readonly heldNs: number;
}

const counterNames = [
  ...(["bytes", "sends", "completions", "copied", "unknown", "notifications"] as const),
  ...(["joined", "unordered", "retries", "fallbacks"] as const),
] as const;

/** As in a transfer's summary. */
export type ChannelCounters = Pick<JobStats, (typeof counterNames)[number]>;

/** A connection made for a channel. Throws what `connect` and the constructor do. */
export async function openChannel(
  address: Address,
  options: ChannelOptions & ConnectOptions = {},
): Promise<Channel> {
  const connection = await connect(address, options);
  try {
    return new Channel(connection, options);
  } catch (error) {
    connection.reset();
    throw error;
  }
}

const depthDefault = 64;
const { ECANCELED } = constants.errno;

interface Write {
  readonly tag: number;
  readonly views: readonly Memory[];
  readonly resolve: (completion: Completion) => void;
  readonly reject: (error: WriteError) => void;
}

interface Flush {
  /** Of the last write that it waits for. */
  readonly tag: number;
  readonly resolve: () => void;
}

export class Channel {
  readonly connection: Connection;
  /** Whether it asks for sends without copies, and why or why not. */
  readonly choice: Choice;
  readonly #job: Job;
  readonly #depth: number;
  #lastTag = noTag;
  /** By tag, in the order of the writes. Those in line are not C's yet. */
  readonly #writes = new Map<number, Write>();
  readonly #line: Write[] = [];
  readonly #flushes: Flush[] = [];
  readonly #rooms: (() => void)[] = [];
  /** Ends everything that comes after it. */
  #failure: ZcError | undefined;
  /** The first error that no flush has told of. */
  #unreported: ZcError | undefined;
  #closed = false;

  /**
   * On a connected socket, which is the channel's from now on: TCP, vsock, UDP, or unix (copying).
   * What the peer says is left for others to read. Throws USAGE, UNSUPPORTED.
   */
  constructor(connection: Connection, { mode, depth = depthDefault, chunk }: ChannelOptions = {}) {
    if (!Number.isInteger(depth) || depth < 1 || depth > channelDepthMax)
      throw usageError(`depth ${depth}`, `not a number from 1 to ${channelDepthMax}`);
    this.connection = connection;
    this.choice = choose(connection, mode ?? "auto", chunk);
    this.#depth = depth;
    const { piece, flags } = this.choice;
    const settings = { fd: connection.fd, piece, worthwhile, depth, flags };
    const job = startChannel(settings, (completions) => this.#settle(completions));
    this.#job = started(job, "start a channel");
    void this.#job.ended.then((stats) => this.#end(stats));
  }

  get counters(): ChannelCounters {
    const { stats } = this.#job;
    return Object.fromEntries(counterNames.map((name) => [name, stats[name]])) as ChannelCounters;
  }

  /**
   * Sends the bytes of one view, and takes the whole buffer under it away until the completion
   * gives it back. Rejects with a WriteError, which gives it back too.
   */
  write(view: Uint8Array): Promise<Completion> {
    return this.writev([view]);
  }

  /** The same for up to 16 views in a row; one datagram where the socket has such. */
  writev(views: readonly Uint8Array[]): Promise<Completion> {
    const { promise, resolve, reject } = Promise.withResolvers<Completion>();
    // Who does not look at a write's own error hears of it from flush or close.
    promise.catch((error) => {
      this.#unreported ??= error;
    });
    try {
      this.#assertWritable(views);
      const write = { tag: ++this.#lastTag, views: take(views), resolve, reject };
      this.#writes.set(write.tag, write);
      this.#line.push(write);
      this.#advance();
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  /** Resolves when a write would not have to wait in line. */
  room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#hasRoom()) resolve();
    else this.#rooms.push(resolve);
    return promise;
  }

  /**
   * Resolves when every write before it is complete. Rejects with the error that ended the stream,
   * or with the first error since the last flush.
   */
  async flush(): Promise<void> {
    const tag = this.#lastTag;
    if (!this.#isCompleteTo(tag))
      await new Promise<void>((resolve) => this.#flushes.push({ tag, resolve }));
    const error = this.#failure ?? this.#unreported;
    this.#unreported = undefined;
    if (error !== undefined) throw error;
  }

  /**
   * Flushes; a stream is then half-closed, and waited for until the peer has acknowledged every
   * byte. Rejects as flush does: then the connection is reset.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
      endChannel(this.#job);
      const { error } = await this.#job.ended;
      if (error !== 0) throw this.#errorOf(error);
      if (this.connection.type === socketType.stream) await finish(this.connection, {});
      this.connection.close();
    } finally {
      await this.abort();
    }
  }

  /** Ends it at once: every write that is not complete is rejected, and the connection reset. */
  async abort(): Promise<void> {
    this.#closed = true;
    this.#job.cancel();
    await this.#job.ended;
    this.connection.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  #assertWritable(views: readonly Uint8Array[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw usageError("write", "the channel is closed");
    if (views.length > channelPartsMax)
      throw usageError(`${views.length} views`, `more than ${channelPartsMax}`);
  }

  #hasRoom(): boolean {
    return this.#failure !== undefined || this.#writes.size < this.#depth;
  }

  #isCompleteTo(tag: number): boolean {
    const [oldest] = this.#writes.keys();
    return oldest === undefined || oldest > tag;
  }

  /** Gives C what it has room for. */
  #advance(): void {
    for (let write = this.#line[0]; write !== undefined; write = this.#line[0]) {
      // No room; or the job has ended: then #end rejects what is in line.
      if (writeChannel(this.#job, write.tag, write.views) < 0) return;
      this.#line.shift();
    }
  }

  #settle(completions: readonly RawCompletion[]): void {
    for (const completion of completions) {
      if (completion.tag === noTag) this.#unreported ??= this.#errorOf(completion.error);
      else this.#settleOne(completion);
    }
    this.#advance();
    this.#wake();
  }

  #settleOne(completion: RawCompletion): void {
    const write = this.#writes.get(completion.tag);
    if (write === undefined) return;
    this.#writes.delete(completion.tag);
    const { bytes, error, held, held_ns: heldNs } = completion;
    if (error === 0) {
      write.resolve({ buffers: write.views, bytes, copied: wasCopied(completion), heldNs });
      return;
    }
    const cause = this.#errorOf(error);
    if (held === 1) lost.add(write.views);
    write.reject(new WriteError(cause, held === 1 ? [] : write.views, bytes));
  }

  /** The job has ended: by close, or because nothing can be sent any more. */
  #end({ error }: JobStats): void {
    this.#failure = error === 0 ? closedError() : this.#errorOf(error);
    for (const { tag, views, reject } of this.#line.splice(0)) {
      this.#writes.delete(tag);
      reject(new WriteError(this.#failure, views, 0));
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#flushes.splice(0);
    for (const flush of waiting) {
      if (this.#isCompleteTo(flush.tag)) flush.resolve();
      else this.#flushes.push(flush);
    }
    while (this.#rooms.length > 0 && this.#hasRoom()) this.#rooms.shift()?.();
  }

  #errorOf(errno: number): ZcError {
    const { peer } = this.connection;
    return errno === ECANCELED ? abortedError(peer) : sendError(peer, errno);
  }
}

/** Memory that the kernel has not let go of, and will not tell: never freed, never used again. */
const lost = new Set<readonly Memory[]>();

function wasCopied({ copied, unknown }: RawCompletion): boolean | undefined {
  if (copied > 0) return true;
  return unknown > 0 ? undefined : false;
}

function abortedError(peer: string): ZcError {
  const operation = "send to";
  return new ZcError({ code: "PEER_RESET", operation, subject: peer, reason: "aborted here" });
}

function closedError(): ZcError {
  return usageError("write", "the channel is closed");
}
