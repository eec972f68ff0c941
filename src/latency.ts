/** A histogram of times in constant memory, to within a thousandth of each, as HdrHistogram's is. */
import { library } from "../ffi/library.ts";
import { histogramBuckets } from "../ffi/structs.ts";

export interface Latency {
  /** Nanoseconds; of the times that were counted. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Each power of two is divided into so many parts: ZC_HISTOGRAM_BUCKETS in c/zc.h. */
const parts = 1024;

export class LatencyHistogram {
  /** By bucket. C may count into it. */
  readonly counts = new BigUint64Array(histogramBuckets);
  #max = 0;
  #added = 0;

  /** `ns` nanoseconds. */
  add(ns: number): void {
    const bucket = library().zc_histogram_bucket(ns);
    this.counts[bucket] = (this.counts[bucket] ?? 0n) + 1n;
    this.#max = Math.max(this.#max, ns);
    this.#added++;
  }

  get total(): number {
    return Number(this.counts.reduce((sum, count) => sum + count, 0n));
  }

  /** undefined while nothing was counted. */
  summary(): Latency | undefined {
    if (this.total === 0) return undefined;
    const [p50 = 0, p90 = 0, p99 = 0, max = 0] = this.percentiles([0.5, 0.9, 0.99, 1]);
    return { p50, p90, p99, max };
  }

  /** Of each share, the upper end of its bucket, at most the longest time where that is known. */
  percentiles(shares: readonly number[]): number[] {
    const total = this.total;
    return shares.map((share) => {
      let left = Math.ceil(share * total);
      const bucket = this.counts.findIndex((count) => {
        left -= Number(count);
        return left <= 0;
      });
      const isMaxKnown = this.#added === total; // C counts without a word
      return isMaxKnown ? Math.min(bucketEnd(bucket), this.#max) : bucketEnd(bucket);
    });
  }
}

/** The longest time that belongs to a bucket; ns. */
export function bucketEnd(bucket: number): number {
  if (bucket < parts) return bucket;
  const power = Math.floor(bucket / parts) - 1;
  return ((bucket % parts) + parts + 1) * 2 ** power - 1;
}
