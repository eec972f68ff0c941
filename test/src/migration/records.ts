/** RAM records, and whole elements, as bytes. */
import type { Element } from "../../../src/migration/stream/elements.ts";
import { encodeElement } from "../../../src/migration/stream/encode.ts";
import { counted, joined, u8, u16, u64 } from "../../../src/migration/stream/joined.ts";

const flag = {
  zero: 0x02,
  page: 0x08,
  end: 0x10,
  again: 0x20,
  xbzrle: 0x40,
  flush: 0x200,
} as const;

const xbzrleEncoding = 1;

export type RamRecord = PageRecord | { readonly kind: "flush" } | { readonly kind: "end" };

/** A page, of the block that it names; or else of that of the record before. */
export interface PageRecord {
  readonly kind: "page" | "zero" | "xbzrle";
  readonly offset: number;
  readonly block?: string | undefined;
  /** The page, or what XBZRLE says of it; of a zero page nothing. */
  readonly bytes?: Uint8Array | undefined;
}

export function encodeRecord(record: RamRecord): Uint8Array {
  if (record.kind === "flush" || record.kind === "end") return u64(flag[record.kind]);
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

/** An element with the bytes that it does not keep, if it is of those that have some. */
export function encodeWith(element: Element, bulk: Uint8Array = new Uint8Array()): Uint8Array {
  const { before, after } = encodeElement(element);
  const isBulk =
    element.type === "trailing" || ("payload" in element && element.payload.kind !== "opaque");
  return joined(before, isBulk ? bulk : new Uint8Array(), after);
}
