/** Results made up for tests: what a cell's rounds gave, in GiB/s. */
import type { BenchResult, Cell, MeasuredCell, Run } from "../../../src/bench/result.ts";
import { summarizeRuns } from "../../../src/bench/result.ts";

const GiB = 2 ** 30;

export interface MadeCell extends Partial<Cell> {
  /** GiB/s, round by round. */
  readonly rates: readonly number[];
  /** CPU seconds a GiB, of the sender's user time. */
  readonly cpu?: number;
  readonly copied?: number;
  /** Nanoseconds: the median latency of each round. */
  readonly latencies?: readonly number[];
}

export function madeResult(cells: readonly MadeCell[]): BenchResult {
  const machine = { kernel: "6.1", processor: "CPU", processors: 2, memory: GiB };
  const repeat = Math.max(...cells.map(({ rates }) => rates.length));
  const facts = { streams: 1, touch: false, misalign: 0, hugePages: false };
  return {
    version: "0",
    date: "2026-01-01T00:00:00.000Z",
    machine: { ...machine, lastLevelCache: 1 << 20, congestion: "reno" },
    settings: { sourceBytes: 4 << 20, repeat, seconds: 1, ...facts },
    cells: cells.map(madeCell),
    isComplete: true,
  };
}

function madeCell({ rates, cpu = 1, copied = 0, latencies, ...cell }: MadeCell): MeasuredCell {
  const named = {
    transport: "tcp",
    mode: "copy",
    receiveMode: "copy",
    size: 65_536,
    ...cell,
  } as const;
  const runs = rates.map((rate, round) => ({
    ...madeRun(rate, cpu, copied),
    ...(latencies && { latency: madeLatency(latencies[round] ?? 0) }),
  }));
  return {
    ...named,
    isBaseline: named.mode === "copy" && named.size === 1 << 20,
    buffers: { sender: 65_536, receiver: 131_072 },
    runs,
    summary: summarizeRuns(runs),
    ...(runs.length === 0 && { error: { code: "UNSUPPORTED", message: "it cannot" } }),
  };
}

function madeLatency(p50: number): NonNullable<Run["latency"]> {
  const rare = { p90: 2 * p50, p99: 3 * p50, p999: 4 * p50, max: 5 * p50 };
  return { requests: 100, answered: 99, p50, ...rare };
}

function madeRun(rate: number, cpu: number, copied: number): Run {
  const sends = copied > 0 ? 100 : 0;
  const bytes = Math.round(rate * GiB);
  return {
    bytes,
    seconds: 1,
    bytesPerSecond: bytes,
    sender: { user: cpu * (bytes / GiB), system: 0, calls: 100 },
    receiver: { user: 0, system: 0, calls: 50 },
    zerocopy: {
      ...{ sends, completions: sends, copied: copied * sends, unknown: 0 },
      ...{ notifications: sends / 4, retries: 0 },
    },
  };
}
