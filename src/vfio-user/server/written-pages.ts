/** Pages of a range of memory, a bit each: the lowest bit of a byte first, in words of 64. */
import { constants } from "node:os";
import { bitmapSize } from "../../vfio/dirty-bitmap.ts";
import { Refusal } from "../refusal.ts";

const { EINVAL } = constants.errno;

/** Of a client's bitmap for `size` bytes in pages; bytes. Throws Refusal: there is no such bitmap. */
export function checkedBitmapSize(size: bigint, pageSize: bigint): number {
  if (pageSize === 0n || (pageSize & (pageSize - 1n)) !== 0n)
    throw new Refusal(EINVAL, "a page size that is no power of two");
  if (size < pageSize) throw new Refusal(EINVAL, "less than a page");
  return Number(bitmapSize(size, pageSize));
}

/** Pages of a size that goes for all of them. */
export class WrittenPages {
  readonly #pageSize: bigint;
  readonly #bits: Uint8Array;

  /** `size` in bytes. Throws Refusal as `checkedBitmapSize`. */
  constructor(size: bigint, pageSize: bigint) {
    this.#pageSize = pageSize;
    this.#bits = new Uint8Array(checkedBitmapSize(size, pageSize));
  }

  /** Bytes that it takes. */
  get size(): number {
    return this.#bits.length;
  }

  /** Bytes of the range that were written. */
  mark(offset: bigint, size: bigint): void {
    if (size === 0n) return;
    const last = (offset + size - 1n) / this.#pageSize;
    setBits(this.#bits, Number(offset / this.#pageSize), Number(last));
  }

  /**
   * What was written of the first `size` bytes since it was last asked, in pages of any size: a page
   * in which anything was written is set. Throws Refusal as `checkedBitmapSize`.
   */
  take(size: bigint, pageSize: bigint): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(checkedBitmapSize(size, pageSize));
    const pages = Number((size + pageSize - 1n) / pageSize);
    const ours = Number((size + this.#pageSize - 1n) / this.#pageSize);
    for (const page of this.#takePages(ours)) {
      const begin = BigInt(page) * this.#pageSize;
      const last = Number((begin + this.#pageSize - 1n) / pageSize);
      setBits(taken, Number(begin / pageSize), Math.min(last, pages - 1));
    }
    return taken;
  }

  /** Those of the first `count` that are set, and are so no longer. */
  *#takePages(count: number) {
    for (let at = 0; at * 8 < count; at++) {
      const mask = count - at * 8 >= 8 ? 0xff : (1 << (count - at * 8)) - 1;
      const byte = this.#bits[at] ?? 0;
      if ((byte & mask) === 0) continue;
      this.#bits[at] = byte & ~mask;
      for (let bit = 0; bit < 8; bit++) if (((byte & mask) >> bit) & 1) yield at * 8 + bit;
    }
  }
}

function setBits(bits: Uint8Array, first: number, last: number): void {
  for (let bit = first; bit <= last; bit++) {
    if (bit % 8 === 0 && last - bit >= 7) {
      bits[bit >> 3] = 0xff;
      bit += 7;
    } else bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
}
