import fc from "fast-check";
import { expect, test } from "vitest";
import { changedRanges } from "../../../src/vfio-user/changed-ranges.ts";

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
