/** What moves over the data connections of a test. */
import type { Connection } from "../../endpoint/connection.ts";
import { retransmitsOf } from "../../endpoint/tcp-info.ts";
import { ZcError } from "../../errors.ts";
import { eitherSignal, pause } from "../../run-job.ts";
import type { MoveCounters } from "../../transfer/move.ts";
import { sumOf } from "../streams.ts";

/** One stream, in one direction, under way. */
export interface Flow {
  readonly connection: Connection;
  readonly sends: boolean;
  /** So far; likewise `datagrams`, where it is made of such. */
  readonly counters: FlowCounters;
  readonly datagrams?: Datagrams;
  /** What was before is omitted: jitter is counted anew. */
  restart?(): void;
  /** At an end of its own, if it has one. Rejects with why it could not go on, or was stopped. */
  readonly ended: Promise<unknown>;
}

export type FlowCounters = Pick<
  MoveCounters,
  | ("bytes" | "calls" | "sends" | "completions")
  | ("copied" | "unknown" | "notifications" | "retries")
>;

export interface Datagrams {
  /** The highest number. */
  readonly packets: number;
  /** Of those before it that did not come. */
  readonly errors: number;
  /** Seconds. */
  readonly jitter: number;
}

export type StartFlow = (signal: AbortSignal) => Flow;

/** All streams of a test, in the order in which they came about. */
export class Flows {
  readonly all: readonly Flow[];
  /** When all have come to an end of their own; rejects with the first that fails. */
  readonly ended: Promise<unknown>;
  readonly #stop = new AbortController();

  constructor(starts: readonly StartFlow[], signal: AbortSignal | undefined) {
    const either = eitherSignal(this.#stop.signal, signal);
    this.all = starts.map((start) => start(either));
    this.ended = Promise.all(this.all.map(({ ended }) => ended));
    this.ended.catch(() => {});
  }

  /** Of those that send, or of those that receive. */
  bytes(sends: boolean): number {
    const some = this.all.filter((flow) => flow.sends === sends);
    return sumOf(some, ({ counters }) => counters.bytes);
  }

  /** Segments that each has sent again so far; undefined of one that receives. */
  retransmits(): (number | undefined)[] {
    return this.all.map(({ sends, connection }) => {
      return sends ? retransmitsOf(connection.fd) : undefined;
    });
  }

  /** Resolves when nothing moves any more. The counters stay. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.all.map(({ ended }) => ended));
  }
}

/** Rejects once nothing has moved for `ms`, or up to twice as long. */
export async function stalled(flows: Flows, ms: number, signal: AbortSignal): Promise<never> {
  for (let before = -1; ; ) {
    const now = flows.bytes(true) + flows.bytes(false);
    if (now === before) throw stall(flows, ms);
    before = now;
    await pause(ms, signal);
  }
}

function stall({ all: [first] }: Flows, ms: number): ZcError {
  const reason = `nothing moved for ${ms / 1e3} s`;
  const subject = first?.connection.peer;
  return new ZcError({ code: "TIMEOUT", operation: "test with", subject, reason });
}

/** Ids go 1, 3, 4, 5…: iperf3 keeps to a mistake of its first version. */
export function flowId(index: number): number {
  return index === 0 ? 1 : index + 2;
}

/** How long who breaks data connections may take to say why. */
const wordMsMax = 500;

/**
 * The first of the two. Where data connections break, the peer's word on the control connection may
 * still come, and tells more.
 */
export async function orWord<T, W>(
  data: Promise<T>,
  word: Promise<W>,
  signal: AbortSignal | undefined,
): Promise<T | W> {
  try {
    return await Promise.race([data, word]);
  } catch (error) {
    const late = pause(wordMsMax, signal).then(() => {
      throw error;
    });
    return await Promise.race([word, late]);
  }
}
