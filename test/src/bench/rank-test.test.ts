/** The rank-sum test, held against every way of choosing, and against the published tables. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareSamples, rankSumProbability } from "../../../src/bench/rank-test.ts";

const few = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 });

test("is the share of all ways to divide the samples that lie as far apart", () => {
  fc.assert(
    fc.property(few, few, (one, other) => {
      expect(rankSumProbability(one, other)).toBeCloseTo(byCounting(one, other), 10);
    }),
  );
});

test.each([
  [3, 3, 2 / 20],
  [4, 4, 2 / 70],
  [5, 5, 2 / 252],
  [4, 6, 2 / 210],
])("%i against %i, wholly apart", (lower, upper, probability) => {
  const low = Array.from({ length: lower }, (_, index) => index);
  const high = Array.from({ length: upper }, (_, index) => 100 + index);
  expect(rankSumProbability(low, high)).toBeCloseTo(probability, 12);
});

test("critical values of the published table: 5 against 5 differ for U up to 2", () => {
  expect(compareSamples([1, 2, 3, 4, 7], [5, 6, 8, 9, 10])).toBe("less"); // U = 2
  expect(compareSamples([1, 2, 3, 4, 8], [5, 6, 7, 9, 10])).toBe("unclear"); // U = 3
});

test("says in which direction, and nothing of few or like samples", () => {
  expect(compareSamples([1, 2, 3, 4], [5, 6, 7, 8])).toBe("less");
  expect(compareSamples([5, 6, 7, 8], [1, 2, 3, 4])).toBe("greater");
  expect(compareSamples([1, 2, 3], [4, 5, 6])).toBe("unclear");
  expect(compareSamples([3, 3, 3, 3], [3, 3, 3, 3])).toBe("unclear");
  expect(compareSamples([], [1, 2])).toBe("unclear");
});

test("the same whichever set comes first", () => {
  fc.assert(
    fc.property(few, few, (one, other) => {
      expect(rankSumProbability(one, other)).toBeCloseTo(rankSumProbability(other, one), 10);
    }),
  );
});

function byCounting(one: readonly number[], other: readonly number[]): number {
  const all = [...one, ...other];
  const sum = (samples: readonly number[]) =>
    samples.reduce((total, sample) => {
      const below = all.filter((each) => each < sample).length;
      const equal = all.filter((each) => each === sample).length;
      return total + below + (equal + 1) / 2;
    }, 0);
  const expected = (one.length * (all.length + 1)) / 2;
  const distances = subsets(all.length, one.length).map((subset) =>
    Math.abs(sum(subset.map((index) => all[index] ?? 0)) - expected),
  );
  const far = Math.abs(sum(one) - expected);
  return distances.filter((distance) => distance >= far - 1e-9).length / distances.length;
}

function subsets(length: number, size: number, first = 0): number[][] {
  if (size === 0) return [[]];
  const found: number[][] = [];
  for (let index = first; index <= length - size; index++) {
    for (const rest of subsets(length, size - 1, index + 1)) found.push([index, ...rest]);
  }
  return found;
}
