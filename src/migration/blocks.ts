/** The list of RAM blocks, in a "ram" section's START: QEMU, ram_save_setup in migration/ram.c. */
import type { Cursor } from "./cursor.ts";
import type { Block, MappedRam } from "./elements.ts";
import { hex, malformed } from "./malformed.ts";

export interface BlockFormat {
  /** Postcopy was announced: blocks of other pages than the host's say so. */
  readonly isPostcopy: boolean;
  readonly hasGuestAddress: boolean;
  readonly isMapped: boolean;
}

/** More than any record's flags. */
const pageSizeMin = 4096n;

/** Throws Incomplete, PROTOCOL. */
export function readBlock(cursor: Cursor, format: BlockFormat): Block {
  const { offset } = cursor;
  const name = cursor.name();
  if (name === "") throw malformed({ offset, expected: "a RAM block's name", found: "none" });
  const size = toNumber(cursor, "a RAM block's size");
  const hasPageSize = format.isPostcopy && !format.isMapped && isPageSize(cursor);
  return {
    ...{ name, size },
    ...(hasPageSize && { pageSize: toNumber(cursor, "a RAM block's page size") }),
    ...(format.hasGuestAddress && !format.isMapped && { guestAddress: cursor.u64() }),
    ...(format.isMapped && { mapped: readMapped(cursor) }),
  };
}

/** It stands only where it is not the host's: else a name comes, or a record with flags alone. */
function isPageSize(cursor: Cursor): boolean {
  return cursor.peek() === 0 && cursor.peek64() >= pageSizeMin;
}

/** docs/devel/migration/mapped-ram.rst */
function readMapped(cursor: Cursor): MappedRam {
  const { offset } = cursor;
  const version = cursor.u32();
  if (version !== 1)
    throw malformed({ offset, expected: "mapped-ram of version 1", found: `${version}` });
  return {
    version,
    pageSize: toNumber(cursor, "mapped-ram's page size"),
    bitmapOffset: toNumber(cursor, "the offset of a bitmap"),
    pagesOffset: toNumber(cursor, "the offset of pages"),
  };
}

function toNumber(cursor: Cursor, what: string): number {
  const { offset } = cursor;
  const value = cursor.u64();
  if (value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw malformed({ offset, expected: what, found: hex(value) });
}
