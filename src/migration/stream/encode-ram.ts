/** The list of RAM blocks as bytes. Pure. */
import type { Block } from "./elements.ts";
import { ramFlag } from "./format.ts";
import { counted, joined, u32, u64 } from "./joined.ts";

/** What begins a list of blocks, which are so many bytes together. */
export function encodeSizes(bytes: number): Uint8Array {
  return u64(BigInt(bytes) | BigInt(ramFlag.sizes));
}

/** One of the list. Of a mapped-ram block a bitmap and pages follow. */
export function encodeBlock({ name, size, pageSize, guestAddress, mapped }: Block): Uint8Array {
  return joined(
    counted(name),
    u64(size),
    ...(pageSize === undefined ? [] : [u64(pageSize)]),
    ...(guestAddress === undefined ? [] : [u64(guestAddress)]),
    ...(mapped === undefined
      ? []
      : [
          u32(mapped.version),
          u64(mapped.pageSize),
          u64(mapped.bitmapOffset),
          u64(mapped.pagesOffset),
        ]),
  );
}
