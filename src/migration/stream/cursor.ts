/** Reads big-endian numbers and names from the bytes that are there, and says when more must come. */

import { malformed } from "./malformed.ts";

/** Not an error: the caller has something to do before it goes on. What was read is committed. */
export class Pause extends Error {}

/** Not an error: the same must be read again, once the window has so many bytes behind its begin. */
export class Incomplete extends Error {
  readonly needed: number;

  constructor(needed: number) {
    super("more bytes must come");
    this.needed = needed;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Cursor {
  readonly bytes: Uint8Array;
  /** Where the next byte is, in `bytes`. */
  at = 0;
  /** All before it has been understood: it need not come again. */
  #committed = 0;
  readonly #view: DataView;
  readonly #base: number;

  /** `base`: the offset of the bytes' begin in the stream. */
  constructor(bytes: Uint8Array, base: number) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
  }

  /** Of the next byte, in the stream. */
  get offset(): number {
    return this.#base + this.at;
  }

  get committed(): number {
    return this.#committed;
  }

  commit(): void {
    this.#committed = this.at;
  }

  /** Back to what was committed. */
  rewind(): void {
    this.at = this.#committed;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** All that is there from here on. */
  rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }

  /** Throws Incomplete where there are fewer. */
  require(count: number): void {
    if (this.left < count) throw new Incomplete(this.at + count);
  }

  peek(): number {
    this.require(1);
    return this.#view.getUint8(this.at);
  }

  peek64(): bigint {
    this.require(8);
    return this.#view.getBigUint64(this.at);
  }

  u8(): number {
    this.require(1);
    return this.#view.getUint8(this.at++);
  }

  u16(): number {
    this.require(2);
    this.at += 2;
    return this.#view.getUint16(this.at - 2);
  }

  u32(): number {
    this.require(4);
    this.at += 4;
    return this.#view.getUint32(this.at - 4);
  }

  u64(): bigint {
    this.require(8);
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8);
  }

  /** A view, which lives as long as the bytes do. */
  take(count: number): Uint8Array {
    this.require(count);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** A copy. */
  copy(count: number): Uint8Array {
    return this.take(count).slice();
  }

  /** A length in one byte, then the name: QEMU's counted string. */
  name(): string {
    return this.text(this.u8());
  }

  /** QEMU's names are ASCII: what is no UTF-8 is none, and could not be told apart. Throws PROTOCOL. */
  text(length: number): string {
    const { offset } = this;
    const bytes = this.take(length);
    try {
      return decoder.decode(bytes);
    } catch {
      const found = `${length} bytes that are no text: ${bytes.subarray(0, 32).toHex()}`;
      throw malformed({ offset, expected: "a name", found });
    }
  }
}
