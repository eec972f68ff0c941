/**
 * Dirty bitmaps of block devices, which need no description: QEMU, migration/block-dirty-bitmap.c.
 * (Its comment says that a granularity has 64 bits; what it writes has 32.) Pure.
 */
import { Cursor } from "./cursor.ts";
import { type FieldValue, Mismatch } from "./fields.ts";

export const dirtyBitmapName = "dirty-bitmap";

const flag = {
  eos: 0x01,
  zeroes: 0x02,
  bitmapName: 0x04,
  nodeName: 0x08,
  start: 0x10,
  complete: 0x20,
  bits: 0x40,
  more: 0x80,
} as const;

const bitmapFlag = { enabled: 1, persistent: 2, autoloading: 4 } as const;
/** A chunk is 1 KiB of bitmap; a section of them goes on for a moment. */
const chunksMax = 1 << 16;

type Fields = { readonly [name: string]: FieldValue };

/** A section's chunks. Throws Mismatch. */
export function decodeDirtyBitmaps(bytes: Uint8Array): Fields {
  const cursor = new Cursor(bytes, 0);
  const chunks: Fields[] = [];
  try {
    for (;;) {
      const flags = readFlags(cursor);
      const chunk = readChunk(cursor, flags);
      if (Object.keys(chunk).length > 0) chunks.push(chunk);
      if (flags & flag.eos) break;
      if (chunks.length > chunksMax) throw new Mismatch(dirtyBitmapName, "too many chunks");
    }
  } catch (error) {
    if (error instanceof Mismatch) throw error;
    throw new Mismatch(dirtyBitmapName, "its last chunk is not whole");
  }
  if (cursor.left > 0) throw new Mismatch(dirtyBitmapName, `${cursor.left} bytes behind its end`);
  return { chunks };
}

function readFlags(cursor: Cursor): number {
  const flags = cursor.u8();
  // More than a byte of them is foreseen, and was never written.
  if (flags & flag.more) throw new Mismatch(dirtyBitmapName, "flags of more than a byte");
  return flags;
}

/** What it does not name is of the chunk before. */
function readChunk(cursor: Cursor, flags: number): Fields {
  const names = {
    ...(flags & flag.nodeName && { node: cursor.name() }),
    ...(flags & flag.bitmapName && { bitmap: cursor.name() }),
  };
  if (flags & flag.start) return { ...names, start: readStart(cursor) };
  if (flags & flag.complete) return { ...names, complete: true };
  if (flags & flag.bits) return { ...names, bits: readBits(cursor, flags) };
  return names;
}

function readStart(cursor: Cursor): Fields {
  const granularity = cursor.u32();
  const flags = cursor.u8();
  const named = Object.entries(bitmapFlag).map(([name, bit]) => [name, (flags & bit) !== 0]);
  return { granularity, ...Object.fromEntries(named) };
}

/** Sectors of 512 bytes, and the bits of their bitmap. */
function readBits(cursor: Cursor, flags: number): Fields {
  const [sector, sectors] = [Number(cursor.u64()), cursor.u32()];
  if (flags & flag.zeroes) return { sector, sectors, zeroes: true };
  return { sector, sectors, bytes: cursor.take(Number(cursor.u64())).toHex() };
}
