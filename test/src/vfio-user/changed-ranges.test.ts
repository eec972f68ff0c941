import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChangedRange, ChangedRanges } from "../../../src/vfio-user/changed-ranges.ts";

function changedRanges(before: Uint8Array, after: Uint8Array): readonly ChangedRange[] {
  const ranges = new ChangedRanges();
  ranges.compare(before, after);
  return ranges.all;
}

test("neighbours are one range, what is far apart is two", () => {
  const before = new Uint8Array(10_000);
  const after = before.slice();
  for (const at of [5, 7, 100, 4095, 4096, 9999]) after[at] = 1;
  expect(changedRanges(before, after)).toEqual([
    { offset: 5, size: 3 },
    { offset: 100, size: 1 },
    { offset: 4095, size: 2 },
    { offset: 9999, size: 1 },
  ]);
  expect(changedRanges(before, before)).toEqual([]);
});

test("a range goes on from one piece to the next", () => {
  const ranges = new ChangedRanges();
  const before = new Uint8Array(100);
  ranges.compare(before, before.slice().fill(1, 98));
  ranges.compare(before, before.slice().fill(1, 0, 3));
  ranges.compare(before, before.slice().fill(1, 50, 51));
  expect(ranges.all).toEqual([
    { offset: 98, size: 5 },
    { offset: 250, size: 1 },
  ]);
});

test("the ranges have all that differs, begin and end with it, and do not touch", () => {
  const size = 9000;
  const places = fc.array(fc.nat({ max: size - 1 }), { maxLength: 50 });
  fc.assert(
    fc.property(places, (changed) => {
      const before = new Uint8Array(size);
      const after = before.slice();
      for (const at of changed) after[at] = 1;
      const ranges = changedRanges(before, after);
      const isIn = (at: number) =>
        ranges.some(({ offset, size }) => at >= offset && at < offset + size);
      for (const at of changed) expect(isIn(at)).toBe(true);
      ranges.forEach(({ offset, size }, index) => {
        expect([after[offset], after[offset + size - 1]]).toEqual([1, 1]);
        const next = ranges[index + 1];
        if (next !== undefined) expect(next.offset).toBeGreaterThan(offset + size);
      });
    }),
  );
});
