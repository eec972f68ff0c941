/** Which pages a device has written: a bit a page, as ranges. */
import type { AddressRange } from "./device.ts";

/**
 * Of a bitmap for `size` bytes in pages: whole 64-bit words, as the kernel and vfio-user have them;
 * bytes. What a peer asks for can be any u64: compare before it is allocated.
 */
export function bitmapSize(size: bigint, pageSize: bigint): bigint {
  const pages = (size + pageSize - 1n) / pageSize;
  return ((pages + 63n) / 64n) * 8n;
}

/**
 * The pages whose bits are set, neighbours joined. Bit n, which is bit n % 8 of byte n / 8, is page n
 * from the range's address on, whatever that is: what linux/vfio.h says of it (addr % 64) is not
 * what the kernel does. The last range ends where `range` does.
 */
export function dirtyRanges(
  bitmap: Uint8Array,
  range: AddressRange,
  pageSize: number,
): AddressRange[] {
  const page = BigInt(pageSize);
  const ranges: AddressRange[] = [];
  for (const [first, end] of runsOf(bitmap)) {
    const from = BigInt(first) * page;
    if (from >= range.size) break;
    const to = BigInt(end) * page;
    const size = (to < range.size ? to : range.size) - from;
    ranges.push({ address: range.address + from, size });
  }
  return ranges;
}

/** Runs of set bits: the first, and the one behind the last. */
function* runsOf(bitmap: Uint8Array): Generator<readonly [first: number, end: number]> {
  let first: number | undefined;
  const bits = bitmap.length * 8;
  for (let bit = 0; bit < bits; bit++) {
    const byte = bitmap[bit >> 3] ?? 0;
    // Most bytes are all clean, or all dirty.
    if ((bit & 7) === 0 && byte === (first === undefined ? 0 : 0xff)) {
      bit += 7;
      continue;
    }
    const isSet = ((byte >> (bit & 7)) & 1) === 1;
    if (isSet) first ??= bit;
    else if (first !== undefined) {
      yield [first, bit];
      first = undefined;
    }
  }
  if (first !== undefined) yield [first, bits];
}
