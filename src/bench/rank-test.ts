/**
 * Whether two sets of samples differ: the rank-sum test of Mann and Whitney, exact, two-sided.
 * It asks nothing of how the samples are spread; four against four are the fewest that can show
 * anything at the usual level. Pure.
 */

/** How unlikely a difference must be by chance alone to be believed. */
export const significance = 0.05;
/** Samples of each set, below which no outcome is that unlikely. */
export const samplesMin = 4;

export type Difference = "less" | "greater" | "unclear";

/** How `samples` lie to `others`. */
export function compareSamples(samples: readonly number[], others: readonly number[]): Difference {
  if (rankSumProbability(samples, others) >= significance) return "unclear";
  const all = [...samples, ...others];
  const expected = (samples.length * (all.length + 1)) / 2;
  return rankSum(samples, all) < expected ? "less" : "greater";
}

/**
 * The probability that two sets of the same origin differ as much as these do, or more. Ties share
 * their ranks; the distribution is that of these very ranks.
 */
export function rankSumProbability(samples: readonly number[], others: readonly number[]): number {
  if (samples.length === 0 || others.length === 0) return 1;
  const all = [...samples, ...others];
  const ranks = doubledRanks(all);
  const expected = samples.length * (all.length + 1);
  const distance = Math.abs(2 * rankSum(samples, all) - expected);
  const ways = waysBySum(ranks, samples.length);
  const total = ways.reduce((sum, count) => sum + count, 0);
  const asFar = ways.reduce(
    (sum, count, at) => (Math.abs(at - expected) >= distance ? sum + count : sum),
    0,
  );
  return asFar / total;
}

function rankSum(samples: readonly number[], all: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + doubledRank(sample, all) / 2, 0);
}

function doubledRanks(all: readonly number[]): number[] {
  return all.map((sample) => doubledRank(sample, all));
}

/** Twice the mean rank of all samples that equal this one: a whole number. */
function doubledRank(sample: number, all: readonly number[]): number {
  const below = all.filter((other) => other < sample).length;
  const equal = all.filter((other) => other === sample).length;
  return 2 * below + equal + 1;
}

/** In how many ways `size` of the ranks can be chosen, by their sum. */
function waysBySum(ranks: readonly number[], size: number): Float64Array {
  const sumMax = ranks.reduce((sum, rank) => sum + rank, 0);
  const ways = Array.from({ length: size + 1 }, () => new Float64Array(sumMax + 1));
  const [none] = ways;
  if (none !== undefined) none[0] = 1;
  for (const rank of ranks) {
    for (let chosen = size; chosen > 0; chosen--) addShifted(ways[chosen], ways[chosen - 1], rank);
  }
  return ways[size] ?? new Float64Array();
}

function addShifted(to: Float64Array | undefined, from: Float64Array | undefined, by: number) {
  if (to === undefined || from === undefined) return;
  for (let sum = to.length - 1; sum >= by; sum--) to[sum] = (to[sum] ?? 0) + (from[sum - by] ?? 0);
}
