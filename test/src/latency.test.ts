/** The histogram of times, whose buckets C and TypeScript agree on. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { library } from "../../ffi/library.ts";
import { histogramBuckets } from "../../ffi/structs.ts";
import { bucketEnd, LatencyHistogram } from "../../src/latency.ts";

describe("the histogram", () => {
  test("percentiles are within 1/1024 above the true ones, and the maximum is exact", () => {
    const times = fc.array(fc.oneof(fc.nat(100), fc.nat(), fc.nat(2 ** 45)), { minLength: 1 });
    fc.assert(
      fc.property(times, (given) => {
        const histogram = new LatencyHistogram();
        for (const ns of given) histogram.add(ns);
        const sorted = given.toSorted((one, other) => one - other);
        const summary = histogram.summary() ?? expect.fail();
        for (const [share, found] of [
          [0.5, summary.p50],
          [0.9, summary.p90],
          [0.99, summary.p99],
        ] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
          expect(found).toBeGreaterThanOrEqual(exact);
          expect(found).toBeLessThanOrEqual(exact + exact / 1024);
        }
        expect(summary.max).toBe(sorted.at(-1));
      }),
    );
  });

  test("a time that C has counted is not hidden by shorter ones that were added here", () => {
    const histogram = new LatencyHistogram();
    histogram.counts[library().zc_histogram_bucket(3e9)] = 1n; // as C does
    histogram.add(2e9);
    expect(histogram.percentiles([1])[0]).toBeGreaterThanOrEqual(3e9);
  });

  test("nothing counted is no summary", () => {
    expect(new LatencyHistogram().summary()).toBeUndefined();
  });

  test("each time is in the first bucket that does not end before it", () => {
    const times = fc.oneof(fc.nat(5000), fc.nat(), fc.nat(2 ** 53 - 1));
    fc.assert(
      fc.property(times, (ns) => {
        const bucket = library().zc_histogram_bucket(ns);
        expect(bucketEnd(bucket)).toBeGreaterThanOrEqual(ns);
        if (bucket > 0) expect(bucketEnd(bucket - 1)).toBeLessThan(ns);
        expect(bucket).toBeLessThan(histogramBuckets);
      }),
    );
    expect(library().zc_histogram_bucket(-1)).toBe(0);
  });
});
