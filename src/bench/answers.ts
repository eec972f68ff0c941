/** Requests at a fixed rate, and how long after each was due its answer came. */
import { ptr } from "bun:ffi";
import { type Job, startJob } from "../../ffi/job.ts";
import { library } from "../../ffi/library.ts";
import { answersStruct } from "../../ffi/structs.ts";
import type { Connection } from "../endpoint/connection.ts";
import { LatencyHistogram } from "../latency.ts";
import { finished, started } from "../run-job.ts";
import type { Pace } from "../transfer/move.ts";
import type { Sent } from "./messages.ts";

/** Until the first request is due: both jobs have started by then. */
export const leadMs = 10;

export class Answers {
  /** For the move that sends the requests. */
  readonly pace: Pace;
  readonly #histogram = new LatencyHistogram();
  readonly #job: Job;

  /** Answers come over `connection`, which the peer closes after the last. */
  constructor(connection: Connection, perSecond: number) {
    const startNs = Number(library().zc_clock_now()) + leadMs * 1e6;
    this.pace = { startNs, intervalNs: Math.round(1e9 / perSecond) };
    const options = {
      interval: this.pace.intervalNs,
      start_ns: startNs,
      counts: Number(ptr(this.#histogram.counts)),
      fd: connection.fd,
    };
    this.#job = started(startJob(library().zc_answers_start, answersStruct, options), "listen");
  }

  /** What `requests` requests come to; those without an answer count as long as they have waited. */
  async summary(requests: number, signal: AbortSignal): Promise<NonNullable<Sent["latency"]>> {
    const { bytes: answered } = await finished(this.#job, signal);
    const now = Number(library().zc_clock_now());
    for (let request = answered; request < requests; request++)
      this.#histogram.add(now - this.pace.startNs - request * this.pace.intervalNs);
    const shares = [0.5, 0.9, 0.99, 0.999, 1];
    const [p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0] = this.#histogram.percentiles(shares);
    return { requests, answered, p50, p90, p99, p999, max };
  }

  /** Nobody wants to know any more. Resolves when the job has let go. */
  async cancel(): Promise<void> {
    this.#job.cancel();
    await this.#job.ended;
  }
}
