import fc from "fast-check";
import { expect, test } from "vitest";
import { bitmapSize, dirtyRanges } from "../../../src/vfio/dirty-bitmap.ts";

const page = 4096;

function bitmapOf(pages: readonly number[], length: number): Uint8Array {
  const bitmap = new Uint8Array(length);
  for (const index of pages) bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
  return bitmap;
}

test("bitmapSize is whole words", () => {
  const of = (size: bigint) => Number(bitmapSize(size, BigInt(page)));
  expect(of(1n)).toBe(8);
  expect(of(64n * 4096n)).toBe(8);
  expect(of(64n * 4096n + 1n)).toBe(16);
});

test("neighbours are joined, over bytes and words", () => {
  const range = { address: 0x10_0000n, size: 256n * 4096n };
  const dirty = [0, 7, 8, 9, ...Array.from({ length: 70 }, (_, index) => 60 + index), 255];
  expect(dirtyRanges(bitmapOf(dirty, 32), range, page)).toEqual([
    { address: 0x10_0000n, size: 4096n },
    { address: 0x10_7000n, size: 3n * 4096n },
    { address: 0x13_c000n, size: 70n * 4096n },
    { address: 0x1f_f000n, size: 4096n },
  ]);
});

test("the last page ends where the range does, and bits behind it are nothing", () => {
  const range = { address: 0n, size: 5000n };
  expect(dirtyRanges(bitmapOf([1, 2, 3], 8), range, page)).toEqual([
    { address: 4096n, size: 904n },
  ]);
});

test("every page that is set is in one range, no other is, and no two ranges touch", () => {
  const pagesMax = 400;
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(pagesMax - 1)),
      fc.constantFrom(4096, 65_536, 2 ** 21),
      fc.bigInt(0n, 2n ** 52n),
      (pages, pageSize, first) => {
        const address = first * BigInt(pageSize);
        const range = { address, size: BigInt(pagesMax) * BigInt(pageSize) };
        const bitmap = bitmapOf(pages, Number(bitmapSize(range.size, BigInt(pageSize))));
        const ranges = dirtyRanges(bitmap, range, pageSize);
        const covered = ranges.flatMap(({ address: from, size }) =>
          Array.from(
            { length: Number(size) / pageSize },
            (_, index) => Number((from - address) / BigInt(pageSize)) + index,
          ),
        );
        expect(covered).toEqual([...pages].sort((a, b) => a - b));
        for (const [index, { address: from }] of ranges.entries()) {
          const before = ranges[index - 1];
          if (before !== undefined) expect(from).toBeGreaterThan(before.address + before.size);
        }
      },
    ),
  );
});
