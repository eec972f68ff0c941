/** RAM records as bytes. */
import { counted, joined, u8, u16, u64 } from "../../../src/migration/joined.ts";

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
