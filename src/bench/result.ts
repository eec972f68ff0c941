/** What a benchmark found: cells of a matrix, the runs of each, and what they come to. Pure. */
import type { ErrorJson } from "../errors.ts";
import type { ReceiveMode, SendMode } from "../transfer/plan.ts";
import { GiB } from "../units.ts";
import { type Spread, spreadOf } from "./statistics.ts";

/** The JSON of `zc bench --json`; its schema is result.schema.ts. */
export interface BenchResult {
  /** Of the zc that measured. */
  readonly version: string;
  /** ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  /** The receiver's, where that is another machine. */
  readonly peer?: Machine | undefined;
  readonly settings: BenchSettings;
  /** In the order in which they are shown. */
  readonly cells: readonly MeasuredCell[];
  /** False where it was interrupted, or an end was lost on the way. */
  readonly isComplete: boolean;
  /** Why it was lost. */
  readonly error?: ErrorJson | undefined;
}

export interface Machine {
  /** `uname -r` */
  readonly kernel: string;
  readonly processor: string;
  readonly processors: number;
  /** Bytes. */
  readonly lastLevelCache: number;
  readonly memory: number;
  /** TCP's, the default. */
  readonly congestion: string;
}

export interface BenchSettings {
  /** Memory that is sent from, over and over; bytes. */
  readonly sourceBytes: number;
  readonly repeat: number;
  /** Each run: so many bytes, or so long. */
  readonly bytes?: number | undefined;
  readonly seconds?: number | undefined;
  readonly streams: number;
  /** Memory is written to before each send. */
  readonly touch: boolean;
  /** Bytes by which each send's memory misses the begin of a page. */
  readonly misalign: number;
  readonly hugePages: boolean;
  /** Latency was measured: requests a second; "adapted": 1000, or fewer of large ones. */
  readonly requestsPerSecond?: number | "adapted" | undefined;
  /** Processors that the two ends are bound to. */
  readonly cpu?: readonly [sender: number, receiver: number] | undefined;
  /** TCP's maximum segment size that was asked for; bytes. */
  readonly mss?: number | undefined;
  /** The other end was an iperf3 server, which with `reverse` sent. Of its machine nothing is known. */
  readonly iperf3?: { readonly reverse: boolean } | undefined;
}

/** One way to move bytes. */
export interface Cell {
  readonly transport: string;
  readonly mode: SendMode;
  readonly receiveMode: ReceiveMode;
  /** Bytes a call of the sender. */
  readonly size: number;
}

export interface MeasuredCell extends Cell {
  /** Copies of 1 MiB: what everything is to be held against. */
  readonly isBaseline: boolean;
  /** Socket buffers, or vsock's credit, as the kernel has them; bytes. */
  readonly buffers?: Buffers | undefined;
  /** Round by round; empty where it could not run. */
  readonly runs: readonly Run[];
  /** Over all runs; undefined where there is none. */
  readonly summary?: CellSummary | undefined;
  /** Why it could not run, or did not go on. */
  readonly error?: ErrorJson | undefined;
}

/** 0 of an iperf3, which does not tell. */
export interface Buffers {
  readonly sender: number;
  readonly receiver: number;
}

/** One transfer. */
export interface Run {
  /** That arrived. */
  readonly bytes: number;
  /** From the first byte that arrived to the last. */
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly sender: SideRun;
  readonly receiver: SideRun;
  readonly zerocopy: ZerocopyRun;
  /** TCP segments sent again; undefined where the transport has none. */
  readonly retransmits?: number | undefined;
  /** Datagrams: share of the bytes sent that did not arrive. */
  readonly lostShare?: number | undefined;
  readonly latency?: LatencyRun | undefined;
}

/** Requests, and how long after each was due its answer came; nanoseconds. */
export interface LatencyRun extends Record<Percentile, number> {
  readonly requests: number;
  /** Fewer, where the rate was more than could be; the others count as long as they waited. */
  readonly answered: number;
}

export const percentiles = ["p50", "p90", "p99", "p999", "max"] as const;
export type Percentile = (typeof percentiles)[number];

/** CPU seconds of the process, and system calls that moved bytes. */
export interface SideRun {
  readonly user: number;
  readonly system: number;
  /** 0 of an iperf3, which does not tell. */
  readonly calls: number;
}

export interface ZerocopyRun {
  readonly sends: number;
  readonly completions: number;
  /** Of the completions; `unknown` were in joined ranges, which tell of their first send alone. */
  readonly copied: number;
  readonly unknown: number;
  readonly notifications: number;
  readonly retries: number;
  /** Bytes that reached the receiver without a copy; undefined where its mode does not ask for it. */
  readonly received?: number | undefined;
}

export interface CellSummary {
  readonly bytesPerSecond: Spread;
  /** CPU seconds a GiB that arrived; medians, and the spread of their sum. */
  readonly cpu: {
    readonly sender: { readonly user: number; readonly system: number };
    readonly receiver: { readonly user: number; readonly system: number };
    readonly total: Spread;
  };
  /** System calls a GiB; medians. */
  readonly calls: { readonly sender: number; readonly receiver: number };
  /** Of the zero-copy sends of which it is known; undefined where there are none. */
  readonly copiedShare?: number | undefined;
  /** Of the bytes that arrived; undefined where the receiver's mode always copies. */
  readonly receiverCopiedShare?: number | undefined;
  readonly notificationsPerSend?: number | undefined;
  /** In all runs. */
  readonly retransmits?: number | undefined;
  readonly lostShare?: number | undefined;
  /** Each round's percentile, over the rounds; nanoseconds. */
  readonly latency?: Readonly<Record<Percentile, Spread>> | undefined;
}

/** undefined where there is no run. */
export function summarizeRuns(runs: readonly Run[]): CellSummary | undefined {
  if (runs.length === 0) return undefined;
  const perGiB = (value: (run: Run) => number) =>
    spreadOf(runs.map((run) => value(run) / (run.bytes / GiB)));
  const total = (value: (run: Run) => number | undefined) =>
    runs.reduce((sum, run) => sum + (value(run) ?? 0), 0);
  const sends = total(({ zerocopy }) => zerocopy.sends);
  const known = total(({ zerocopy }) => zerocopy.completions - zerocopy.unknown);
  const copied = total(({ zerocopy }) => zerocopy.copied);
  const notifications = total(({ zerocopy }) => zerocopy.notifications);
  const maps = runs.some(({ zerocopy }) => zerocopy.received !== undefined);
  const mapped = total(({ zerocopy }) => zerocopy.received);
  const hasRetransmits = runs.some(({ retransmits }) => retransmits !== undefined);
  const hasLosses = runs.some(({ lostShare }) => lostShare !== undefined);
  const latencies = runs.flatMap(({ latency }) => (latency === undefined ? [] : [latency]));
  return {
    bytesPerSecond: spreadOf(runs.map((run) => run.bytesPerSecond)),
    cpu: {
      sender: {
        user: perGiB(({ sender }) => sender.user).median,
        system: perGiB(({ sender }) => sender.system).median,
      },
      receiver: {
        user: perGiB(({ receiver }) => receiver.user).median,
        system: perGiB(({ receiver }) => receiver.system).median,
      },
      total: spreadOf(runs.map(cpuPerGiB)),
    },
    calls: {
      sender: perGiB(({ sender }) => sender.calls).median,
      receiver: perGiB(({ receiver }) => receiver.calls).median,
    },
    ...(known > 0 && { copiedShare: copied / known }),
    ...(maps && { receiverCopiedShare: 1 - mapped / total(({ bytes }) => bytes) }),
    ...(sends > 0 && { notificationsPerSend: notifications / sends }),
    ...(hasRetransmits && { retransmits: total((run) => run.retransmits) }),
    ...(latencies.length > 0 && { latency: summarizeLatencies(latencies) }),
    ...(hasLosses && { lostShare: spreadOf(runs.map((run) => run.lostShare ?? 0)).median }),
  };
}

/** Requests without an answer, in all runs: more were due than there could be. */
export function unanswered(runs: readonly Run[]): number {
  return runs.reduce((sum, { latency }) => {
    return sum + (latency === undefined ? 0 : latency.requests - latency.answered);
  }, 0);
}

function summarizeLatencies(runs: readonly LatencyRun[]): Record<Percentile, Spread> {
  const entries = percentiles.map((name) => [name, spreadOf(runs.map((run) => run[name]))]);
  return Object.fromEntries(entries);
}

/** CPU seconds of both ends. */
export function cpuPerGiB({ bytes, sender, receiver }: Run): number {
  const seconds = sender.user + sender.system + receiver.user + receiver.system;
  return seconds / (bytes / GiB);
}
