/** A captured channel of multifd, read along with the main one. */
import { openSource, type Source } from "../../transfer/source.ts";
import type { Ram } from "../ram/ram.ts";
import { Cursor, Incomplete } from "../stream/cursor.ts";
import type { DeviceStates } from "../stream/device-state.ts";
import { malformed, ofFile, truncated } from "../stream/malformed.ts";
import { type RamPacket, readChannelStart, readPacket } from "../stream/multifd.ts";
import { Decompressor } from "./decompress.ts";
import { Input } from "./input.ts";

export class Channel implements AsyncDisposable {
  hasEnded = false;
  #hasStarted = false;
  readonly #source: Source;
  readonly #input: Input;
  readonly #ram: Ram;
  readonly #states: DeviceStates;
  readonly #decompressor = new Decompressor();
  #offset = 0;

  private constructor(source: Source, ram: Ram, states: DeviceStates, signal?: AbortSignal) {
    this.#ram = ram;
    this.#states = states;
    this.#source = source;
    this.#input = new Input(source.descriptor.fd, source.name, signal);
  }

  /** Throws READ_SOURCE, and the signal's reason. */
  static async open(
    file: string,
    ram: Ram,
    states: DeviceStates,
    signal?: AbortSignal,
  ): Promise<Channel> {
    return new Channel(await openSource(file, signal), ram, states, signal);
  }

  /** Takes what is in all packets up to the next synchronization, or the end. */
  async catchUp(): Promise<void> {
    try {
      await this.#takePackets();
    } catch (error) {
      throw ofFile(error, this.#source.name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#decompressor[Symbol.dispose]();
    await this.#input[Symbol.asyncDispose]();
    this.#source[Symbol.dispose]();
  }

  async #takePackets(): Promise<void> {
    if (!this.#hasStarted) await this.#start();
    for (;;) {
      const packet = await this.#peek((cursor) => readPacket(cursor, this.#ram.pageSize));
      if (packet === undefined) {
        this.hasEnded = true;
        return;
      }
      const { value, length } = packet;
      if (value.type === "ram") await this.#takePages(value);
      else this.#states.take(value, this.#source.name);
      this.#release(length);
      if (value.isSync) return;
    }
  }

  async #takePages({ method, payload, block, normal, zero, offsets, offset }: RamPacket) {
    if (normal + zero === 0) return;
    if (!this.#ram.has(block))
      throw malformed({ offset, expected: "a RAM block of the list", found: `"${block}"` });
    const size = normal * this.#ram.pageSize;
    const pages =
      normal > 0 ? await this.#decompressor.take(method, payload, size, offset) : undefined;
    if (!this.#ram.takePacket(block, { offsets, pages, normal, zero }))
      throw malformed({ offset, expected: `pages in "${block}"`, found: "one beyond it" });
  }

  async #start(): Promise<void> {
    const found = await this.#peek(readChannelStart);
    if (found === undefined) throw truncated(this.#offset, "a channel's first packet");
    this.#release(found.length);
    this.#hasStarted = true;
  }

  /** What stands next, which stays until it is released; undefined at the end. */
  async #peek<T>(read: (cursor: Cursor) => T): Promise<{ value: T; length: number } | undefined> {
    for (;;) {
      const { window, hasEnded } = this.#input;
      if (hasEnded && window.length === 0) return undefined;
      const cursor = new Cursor(window, this.#offset);
      try {
        return { value: read(cursor), length: cursor.at };
      } catch (error) {
        if (!(error instanceof Incomplete)) throw error;
        if (hasEnded) throw truncated(this.#offset + window.length, "the rest of a packet");
      }
      await this.#input.more();
    }
  }

  #release(length: number): void {
    this.#input.release(length);
    this.#offset += length;
  }
}
