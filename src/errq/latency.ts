/** A histogram of times in constant memory, to within 1/32 of each. Pure. */

export interface Latency {
  /** Nanoseconds; of the times that were counted. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Each power of two is divided into so many parts. */
const parts = 32;
const powers = 63;

export class LatencyHistogram {
  readonly #counts = new Float64Array(powers * parts);
  #total = 0;
  #max = 0;

  /** `ns` nanoseconds, `count` times. */
  add(ns: number, count = 1): void {
    const bucket = bucketOf(ns);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    this.#total += count;
    this.#max = Math.max(this.#max, ns);
  }

  /** undefined while nothing was counted. A percentile is its bucket's upper end, at most the max. */
  summary(): Latency | undefined {
    if (this.#total === 0) return undefined;
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => this.#percentile(share));
    return { p50: p50 ?? 0, p90: p90 ?? 0, p99: p99 ?? 0, max: this.#max };
  }

  #percentile(share: number): number {
    let left = Math.ceil(share * this.#total);
    const bucket = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return Math.min(upperEnd(bucket), this.#max);
  }
}

/** Below `parts` a bucket is one nanosecond wide; above, the power of two and its part. */
function bucketOf(ns: number): number {
  const whole = Math.max(0, Math.floor(ns));
  if (whole < parts) return whole;
  const power = Math.floor(Math.log2(whole));
  const width = 2 ** (power - 5);
  return Math.min((power - 4) * parts + (Math.floor(whole / width) - parts), powers * parts - 1);
}

function upperEnd(bucket: number): number {
  if (bucket < parts) return bucket;
  const power = Math.floor(bucket / parts) + 4;
  const width = 2 ** (power - 5);
  return ((bucket % parts) + parts + 1) * width - 1;
}
