/** The list of RAM blocks, in a "ram" section's START: QEMU, ram_save_setup in migration/ram.c. */
import type { Cursor } from "./cursor.ts";
import type { Block, MappedRam } from "./elements.ts";
import { hex, malformed } from "./malformed.ts";

export interface BlockFormat {
  /** Postcopy was announced: blocks of other pages than the host's say so. */
  readonly isPostcopy: boolean;
  readonly hasGuestAddress: boolean;
  readonly isMapped: boolean;
  /** Of a guest's page. */
  readonly pageSize: number;
}

/** Throws Incomplete, PROTOCOL. */
export function readBlock(cursor: Cursor, format: BlockFormat): Block {
  const { offset } = cursor;
  const name = cursor.name();
  if (name === "") throw malformed({ offset, expected: "a RAM block's name", found: "none" });
  const size = toNumber(cursor, "a RAM block's size");
  return {
    ...{ name, size },
    ...(hasPageSize(cursor, format) && { pageSize: toNumber(cursor, "a RAM block's page size") }),
    ...(format.hasGuestAddress && { guestAddress: cursor.u64() }),
    ...(format.isMapped && { mapped: readMapped(cursor, format.pageSize) }),
  };
}

/**
 * No name begins with a byte of 0, as every page size does; and so does the word behind the last
 * block, which has flags. QEMU has postcopy with neither guest addresses nor mapped-ram.
 */
function hasPageSize(cursor: Cursor, format: BlockFormat): boolean {
  if (!format.isPostcopy || format.isMapped || format.hasGuestAddress) return false;
  return cursor.peek() === 0 && cursor.peek64() % BigInt(format.pageSize) === 0n;
}

/** docs/devel/migration/mapped-ram.rst */
function readMapped(cursor: Cursor, pageSize: number): MappedRam {
  const { offset } = cursor;
  const version = cursor.u32();
  if (version !== 1)
    throw malformed({ offset, expected: "mapped-ram of version 1", found: `${version}` });
  const pageSizeFound = toNumber(cursor, "mapped-ram's page size");
  if (pageSizeFound !== pageSize)
    throw malformed({
      offset: offset + 4,
      expected: `mapped-ram's pages of ${pageSize}`,
      found: `of ${pageSizeFound}`,
      hint: `--page-size ${pageSizeFound}`,
    });
  const bitmapOffset = toNumber(cursor, "the offset of a bitmap");
  const pagesOffset = toNumber(cursor, "the offset of pages");
  if (pagesOffset % pageSize !== 0)
    throw malformed({
      offset: offset + 20,
      expected: "the offset of pages, a multiple of their size",
      found: hex(pagesOffset),
    });
  return { version, pageSize, bitmapOffset, pagesOffset };
}

function toNumber(cursor: Cursor, what: string): number {
  const { offset } = cursor;
  const value = cursor.u64();
  if (value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw malformed({ offset, expected: what, found: hex(value) });
}
