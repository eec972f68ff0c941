/**
 * Looks on while a migration passes a relay: copies of its connections are read here as far as they
 * can be had. What goes too fast for that is missed, and never held up.
 */
import { closeSync } from "node:fs";
import { library } from "../../../ffi/library.ts";
import { ZcError } from "../../errors.ts";
import type { TeeOptions } from "../../relay/tees.ts";
import { pagesIn, Ram } from "../ram/ram.ts";
import { Input } from "../reading/input.ts";
import { feed, type Parser } from "../reading/read.ts";
import { Cursor, Incomplete } from "../stream/cursor.ts";
import type { Element } from "../stream/elements.ts";
import { pageSizeDefault } from "../stream/format.ts";
import { multifdMagic, readChannelStart, readPacket } from "../stream/multifd.ts";
import { StreamParser } from "../stream/parser.ts";
import { ReturnPathParser } from "../stream/return-path.ts";
import { isUrgent, UrgentParser, urgentHeadLength } from "../stream/urgent.ts";

/** What is known by now. */
export interface MigrationState {
  readonly machine: string | undefined;
  /** Bytes of RAM, of all blocks. */
  readonly ramBytes: number;
  readonly pageSize: number;
  /** Counted from 1; pages that it and the one before have sent so far. */
  readonly round: number;
  readonly pagesOfRound: number;
  readonly pagesOfRoundBefore: number;
  readonly pages: number;
  readonly pagesAgain: number;
  /** Of multifd's. */
  readonly channels: number;
  readonly isPostcopy: boolean;
  /** That the destination asked for. */
  readonly requests: number;
  /** A stream's header came: it is a migration. */
  readonly hasBegun: boolean;
  /** The devices came, and the stream's end. */
  readonly hasEnded: boolean;
  /** What the destination said at its end; undefined: nothing. */
  readonly answer: number | undefined;
  /** Some of it went by too fast, or was nothing that is known. */
  readonly isBlind: boolean;
}

export class MigrationView implements AsyncDisposable {
  readonly #ram: Ram;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>[] = [];
  readonly #hasBlocks = Promise.withResolvers<void>();
  #machine: string | undefined;
  #ramBytes = 0;
  #channels = 0;
  #requests = 0;
  #isPostcopy = false;
  #hasBegun = false;
  #hasEnded = false;
  #answer: number | undefined;
  #isBlind = false;

  constructor(pageSize = pageSizeDefault) {
    this.#ram = new Ram(pageSize);
  }

  /** For one more connection. The write ends are the caller's. Throws UNSUPPORTED. */
  tee(): TeeOptions {
    return {
      forth: this.#follow((input) => this.#watchForth(input)),
      back: this.#follow((input) => this.#watchBack(input)),
    };
  }

  get state(): MigrationState {
    const { rounds, counts } = this.#ram;
    const last = rounds.at(-1);
    const before = rounds.at(-2);
    return {
      machine: this.#machine,
      ramBytes: this.#ramBytes,
      pageSize: this.#ram.pageSize,
      round: rounds.length,
      pagesOfRound: last === undefined ? 0 : pagesIn(last),
      pagesOfRoundBefore: before === undefined ? 0 : pagesIn(before),
      pages: pagesIn(counts),
      pagesAgain: counts.again,
      channels: this.#channels,
      isPostcopy: this.#isPostcopy,
      requests: this.#requests,
      hasBegun: this.#hasBegun,
      hasEnded: this.#hasEnded,
      answer: this.#answer,
      isBlind: this.#hasBegun && this.#isBlind,
    };
  }

  /** All that was copied has been read. */
  async finished(): Promise<void> {
    this.#hasBlocks.resolve();
    await Promise.all(this.#following);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.finished();
    this.#ram[Symbol.dispose]();
  }

  #follow(watch: (input: Input) => Promise<void>): number {
    const ends = new Int32Array(2);
    const error = library().zc_pipe_open(ends);
    if (error < 0)
      throw new ZcError({ code: "UNSUPPORTED", operation: "open a pipe", errno: -error });
    const [reader = -1, writer = -1] = ends;
    this.#following.push(this.#read(reader, watch));
    return writer;
  }

  /** What cannot be read ends the view of it, and nothing else. */
  async #read(fd: number, watch: (input: Input) => Promise<void>): Promise<void> {
    try {
      await using input = new Input(fd, "a copy", this.#stop.signal);
      await watch(input);
    } catch {
      if (!this.#stop.signal.aborted) this.#isBlind = true;
    } finally {
      closeSync(fd);
    }
  }

  async #watchForth(input: Input): Promise<void> {
    while (input.window.length < urgentHeadLength && !input.hasEnded) await input.more();
    if (input.window.length < urgentHeadLength) return;
    const word = new Cursor(input.window, 0).u32();
    if (word === multifdMagic) await this.#watchChannel(input);
    else if (isUrgent(input.window)) await this.#watchUrgent(input);
    else await feed(input, this.#streamParser());
  }

  #streamParser(): Parser {
    return new StreamParser({
      ram: this.#ram,
      onElement: (element) => this.#take(element),
      onBlock: ({ size }) => {
        this.#ramBytes += size;
      },
    });
  }

  #take(element: Element): void {
    if (element.type === "header") this.#hasBegun = true;
    if (element.type === "configuration") this.#machine = element.machine;
    if (element.type === "eof") this.#hasEnded = true;
    if (element.type === "command" && element.name === "postcopy-run") this.#isPostcopy = true;
    if (element.type === "start" && element.payload.kind === "ram") this.#hasBlocks.resolve();
  }

  async #watchChannel(input: Input): Promise<void> {
    this.#channels++;
    await this.#hasBlocks.promise;
    await feed(input, new PacketCounter(this.#ram));
  }

  async #watchUrgent(input: Input): Promise<void> {
    await this.#hasBlocks.promise;
    await feed(input, new UrgentParser(this.#ram));
  }

  #watchBack(input: Input): Promise<void> {
    const parser = new ReturnPathParser((answer) => {
      if (answer.type === "req-pages") this.#requests++;
      if (answer.type === "shut") this.#answer = answer.error;
    });
    return feed(input, parser);
  }
}

/** Counts the pages of a channel's packets; what is in them matters to nobody here. */
class PacketCounter implements Parser {
  readonly #ram: Ram;
  #offset = 0;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  take(bytes: Uint8Array): number {
    const cursor = new Cursor(bytes, this.#offset);
    try {
      if (this.#offset === 0) readChannelStart(cursor);
      cursor.commit();
      while (cursor.left > 0) this.#count(cursor);
    } catch (error) {
      if (!(error instanceof Incomplete)) throw error;
    }
    this.#offset += cursor.committed;
    return cursor.committed;
  }

  /** Where it breaks off matters to the destination alone. */
  end(): void {}

  #count(cursor: Cursor): void {
    const packet = readPacket(cursor, this.#ram.pageSize);
    cursor.commit();
    if (packet.type !== "ram" || !this.#ram.has(packet.block)) return;
    const { block, offsets, normal, zero } = packet;
    this.#ram.takePacket(block, { offsets, pages: undefined, normal, zero });
  }
}
