/** The payload of a "ram" section as bytes: its list of blocks, and its records. Pure. */
import type { Block } from "./elements.ts";
import { counted, joined, u8, u16, u32, u64 } from "./joined.ts";

const flag = {
  zero: 0x02,
  sizes: 0x04,
  page: 0x08,
  end: 0x10,
  again: 0x20,
  xbzrle: 0x40,
  flush: 0x200,
} as const;

const xbzrleEncoding = 1;

export type RamRecord = PageRecord | { readonly kind: "flush" | "end" };

/** A page, of the block that it names; or else of that of the record before. */
export interface PageRecord {
  readonly kind: "page" | "zero" | "xbzrle";
  readonly offset: number;
  readonly block?: string | undefined;
  /** The page, or what XBZRLE says of it; of a zero page nothing. */
  readonly bytes?: Uint8Array | undefined;
}

export function encodeRecord(record: RamRecord): Uint8Array {
  if (!("offset" in record)) return u64(flag[record.kind]);
  const { kind, offset, block, bytes = new Uint8Array() } = record;
  const flags = flag[kind] | (block === undefined ? flag.again : 0);
  return joined(
    u64(BigInt(offset) | BigInt(flags)),
    ...(block === undefined ? [] : [counted(block)]),
    ...(kind === "zero" ? [u8(0)] : []),
    ...(kind === "xbzrle" ? [u8(xbzrleEncoding), u16(bytes.length)] : []),
    bytes,
  );
}

/** What begins a list of blocks, which are so many bytes together. */
export function encodeSizes(bytes: number): Uint8Array {
  return u64(BigInt(bytes) | BigInt(flag.sizes));
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
