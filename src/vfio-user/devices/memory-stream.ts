/**
 * What moves when a memory device does: a header, then ranges of its pages in any order, each with
 * its bytes behind it, the later ones counting, then an end.
 */
import { constants } from "node:os";
import { RecordLayout } from "../../vfio/record.ts";
import { Refusal } from "../refusal.ts";

export const memoryPageSize = 4096;
const { EINVAL } = constants.errno;
/** "zcmemory" */
const magic = 0x79726f6d656d637an;
const version = 1;

const headerLayout = new RecordLayout({
  magic: "u64",
  version: "u32",
  page_size: "u32",
  size: "u64",
});
/** Bytes of the memory; a length of 0: the end. */
const rangeLayout = new RecordLayout({ address: "u64", length: "u64" });

/** From a device. In rounds: each has the pages that were written before it. */
export class MemoryReader {
  readonly #memory: Uint8Array;
  readonly #takeWritten: () => Uint32Array;
  /** Of headers that are next. */
  #head: Uint8Array;
  /** The range that is next, without what is gone. */
  #range = { at: 0, end: 0 };
  /** Pages of this round, a bit each, and the first that was not looked at. */
  #round: Uint32Array;
  #page = 0;
  #isRoundOver = false;
  #hasEnded = false;
  #room = new Uint8Array(0);

  /** `takeWritten` tells of the pages written since it was last called; the caller's no more. */
  constructor(memory: Uint8Array, takeWritten: () => Uint32Array) {
    this.#memory = memory;
    this.#takeWritten = takeWritten;
    this.#round = takeWritten().fill(0xffff_ffff);
    const size = BigInt(memory.length);
    this.#head = headerLayout.encode({ magic, version, page_size: memoryPageSize, size });
  }

  /**
   * The next bytes, borrowed until the next call: often of the memory itself. Fewer than `size` at the
   * end of a round, and with `isLast`, when nobody writes any more, at the very end.
   */
  read(size: number, isLast: boolean): Uint8Array {
    const first = this.#next(size, isLast);
    if (first.length === size || first.length === 0) return first;
    if (this.#room.length < size) this.#room = new Uint8Array(size);
    this.#room.set(first);
    let filled = first.length;
    while (filled < size) {
      const part = this.#next(size - filled, isLast);
      if (part.length === 0) break;
      this.#room.set(part, filled);
      filled += part.length;
    }
    return this.#room.subarray(0, filled);
  }

  /** No more than `size`; none: the round is over. */
  #next(size: number, isLast: boolean): Uint8Array {
    if (this.#isRoundOver) this.#beginRound();
    const hasMore = this.#head.length > 0 || this.#range.at < this.#range.end;
    if (!hasMore && !this.#findRange() && !(isLast && this.#findLast())) {
      this.#isRoundOver = true;
      return nothing;
    }
    if (this.#head.length > 0) {
      const part = this.#head.subarray(0, size);
      this.#head = this.#head.subarray(part.length);
      return part;
    }
    const { at, end } = this.#range;
    this.#range.at = Math.min(at + size, end);
    return this.#memory.subarray(at, this.#range.at);
  }

  #beginRound(): void {
    this.#round = this.#takeWritten();
    this.#page = 0;
    this.#isRoundOver = false;
  }

  /** What was written in the last round, or the end, once. */
  #findLast(): boolean {
    this.#beginRound();
    if (this.#findRange()) return true;
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#head = rangeLayout.encode({});
    return true;
  }

  #findRange(): boolean {
    const pages = this.#memory.length / memoryPageSize;
    let first = this.#page;
    while (first < pages && !this.#isWritten(first))
      first += first % 32 === 0 && this.#round[first / 32] === 0 ? 32 : 1;
    let end = Math.min(first, pages);
    while (end < pages && this.#isWritten(end)) end++;
    this.#page = end;
    if (end <= first) return false;
    this.#range = { at: first * memoryPageSize, end: end * memoryPageSize };
    const length = BigInt((end - first) * memoryPageSize);
    this.#head = rangeLayout.encode({ address: BigInt(this.#range.at), length });
    return true;
  }

  #isWritten(page: number): boolean {
    return (((this.#round[page >>> 5] ?? 0) >>> (page & 31)) & 1) === 1;
  }
}

/** To a device, however the bytes are cut. Throws Refusal for what no such device of this size gave. */
export class MemoryWriter {
  readonly #memory: Uint8Array;
  /** The struct that is next, as far as it is here. */
  #partial = new Uint8Array(0);
  #hasHeader = false;
  #hasEnded = false;
  #range = { at: 0, end: 0 };

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }

  write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#hasEnded) throw new Refusal(EINVAL, "bytes behind the end");
      const { at, end } = this.#range;
      const part = rest.subarray(0, at < end ? end - at : this.#missing());
      rest = rest.subarray(part.length);
      if (at < end) {
        this.#memory.set(part, at);
        this.#range.at += part.length;
      } else this.#takeStruct(part);
    }
  }

  /** Throws Refusal unless all of it has come. */
  finish(): void {
    if (!this.#hasEnded) throw new Refusal(EINVAL, "the end is missing");
  }

  #missing(): number {
    const { size } = this.#hasHeader ? rangeLayout : headerLayout;
    return size - this.#partial.length;
  }

  #takeStruct(part: Uint8Array): void {
    this.#partial = Uint8Array.of(...this.#partial, ...part);
    if (this.#missing() > 0) return;
    const bytes = this.#partial;
    this.#partial = new Uint8Array(0);
    if (this.#hasHeader) this.#beginRange(bytes);
    else this.#checkHeader(bytes);
  }

  #checkHeader(bytes: Uint8Array): void {
    const header = headerLayout.decode(bytes);
    if (header.magic !== magic) throw new Refusal(EINVAL, "no memory device's data");
    if (header.version !== version) throw new Refusal(EINVAL, `version ${header.version}`);
    if (header.page_size !== memoryPageSize || header.size !== BigInt(this.#memory.length))
      throw new Refusal(EINVAL, `a device of ${header.size} bytes`);
    this.#hasHeader = true;
  }

  #beginRange(bytes: Uint8Array): void {
    const { address, length } = rangeLayout.decode(bytes);
    const page = BigInt(memoryPageSize);
    const isWhole = address % page === 0n && length % page === 0n;
    if (!isWhole || address + length > BigInt(this.#memory.length))
      throw new Refusal(EINVAL, "pages that the device has not");
    this.#range = { at: Number(address), end: Number(address + length) };
    this.#hasEnded = length === 0n;
  }
}

const nothing = new Uint8Array(0);
