import fc from "fast-check";
import { expect, test } from "vitest";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import { checkedBitmapSize, WrittenPages } from "../../../../src/vfio-user/server/written-pages.ts";

/** The numbers of the bits that are set, all of the bitmap over. */
function bitsOf(bitmap: Uint8Array): number[] {
  return [...bitmap].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => at * 8 + bit),
  );
}

const pageSize = fc.integer({ min: 0, max: 8 }).map((log2) => 2 ** log2);

test("what is asked for is told once, in other pages, and the rest stays for later", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 256, max: 5000 }),
      pageSize,
      fc.array(fc.record({ at: fc.nat(4999), count: fc.integer({ min: 1, max: 600 }) }), {
        maxLength: 5,
      }),
      fc.array(fc.record({ size: fc.integer({ min: 256, max: 5000 }), theirs: pageSize }), {
        maxLength: 4,
      }),
      (size, ours, writes, reports) => {
        const pages = new WrittenPages(BigInt(size), BigInt(ours));
        const written = new Set<number>();
        for (const { at, count } of writes.filter(({ at }) => at < size)) {
          const end = Math.min(at + count, size);
          pages.mark(BigInt(at), BigInt(end - at));
          for (let page = Math.floor(at / ours); page * ours < end; page++) written.add(page);
        }
        for (const { size: wanted, theirs } of [...reports, { size, theirs: ours }]) {
          const asked = Math.min(wanted, size);
          const count = Math.ceil(asked / theirs);
          const expected = new Set<number>();
          for (const page of [...written].filter((each) => each * ours < asked)) {
            written.delete(page);
            const last = Math.floor(((page + 1) * ours - 1) / theirs);
            for (
              let each = Math.floor((page * ours) / theirs);
              each <= Math.min(last, count - 1);
              each++
            )
              expected.add(each);
          }
          const bitmap = pages.take(BigInt(asked), BigInt(theirs));
          expect(bitmap.length).toBe(Math.ceil(count / 64) * 8);
          expect(bitsOf(bitmap)).toEqual([...expected].sort((a, b) => a - b));
        }
        expect(written.size).toBe(0);
      },
    ),
  );
});

test.each([
  ["no page size", 4096n, 0n],
  ["one that is no power of two", 4096n, 3000n],
  ["less than a page", 4095n, 4096n],
])("%s has no bitmap", (_, size, page) => {
  expect(() => checkedBitmapSize(size, page)).toThrow(Refusal);
});
