/** Medians and spreads. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ratiosOf, spreadOf } from "../../../src/bench/statistics.ts";

const samples = fc.array(fc.double({ min: 1e-3, max: 1e9, noNaN: true }), { minLength: 1 });

test("half of the samples are on either side of the median", () => {
  fc.assert(
    fc.property(samples, (given) => {
      const { median, min, max } = spreadOf(given);
      expect(given.filter((sample) => sample < median).length).toBeLessThanOrEqual(
        given.length / 2,
      );
      expect(given.filter((sample) => sample > median).length).toBeLessThanOrEqual(
        given.length / 2,
      );
      expect([min, max]).toEqual([Math.min(...given), Math.max(...given)]);
    }),
  );
});

test("of an even number, the mean of the middle two", () => {
  expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
});

test("ratios are those of the same round", () => {
  expect(ratiosOf([2, 30, 4], [1, 10, 4])).toEqual({ median: 2, min: 1, max: 3 });
});
