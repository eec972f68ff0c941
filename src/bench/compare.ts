/** Two results held against each other, cell by cell. Pure. */

import { isSameCell } from "./matrix.ts";
import { compareSamples, type Difference, rankSumProbability } from "./rank-test.ts";
import {
  type BenchResult,
  type Cell,
  cpuPerGiB,
  type Machine,
  type MeasuredCell,
  type Run,
} from "./result.ts";
import { spreadOf } from "./statistics.ts";

/** The JSON of `zc bench compare --json`; its schema is comparison.schema.ts. */
export interface Comparison {
  readonly before: Machine;
  readonly after: Machine;
  /** Settings of which the two differ: what else may explain a difference. */
  readonly differentSettings: readonly string[];
  readonly cells: readonly ComparedCell[];
  /** Measured in one of the two alone. */
  readonly unmatched: readonly Cell[];
}

/** Of a latency run the median alone: its throughput and CPU time are those of a fixed rate. */
export interface ComparedCell extends Cell {
  /** Bytes a second. */
  readonly throughput?: Compared | undefined;
  /** CPU seconds a GiB, both ends. */
  readonly cpu?: Compared | undefined;
  /** p50, nanoseconds. */
  readonly latency?: Compared | undefined;
}

export interface Compared {
  /** Medians. */
  readonly before: number;
  readonly after: number;
  /** After over before. */
  readonly ratio: number;
  /** Of the samples after, to those before. */
  readonly difference: Difference;
  /** That they would differ so by chance alone; two-sided. */
  readonly probability: number;
}

export function compareResults(before: BenchResult, after: BenchResult): Comparison {
  const pairs = before.cells.flatMap((cell) => {
    const other = after.cells.find((candidate) => isSameCell(candidate, cell));
    return other !== undefined && isMeasured(cell) && isMeasured(other)
      ? [[cell, other] as const]
      : [];
  });
  const matched = pairs.flat();
  const all = [...before.cells, ...after.cells].filter(isMeasured);
  return {
    before: before.machine,
    after: after.machine,
    differentSettings: differentSettings(before, after),
    cells: pairs.map(([one, other]) => ({ ...nameOf(one), ...comparedCell(one, other) })),
    unmatched: all.filter((cell) => !matched.includes(cell)).map(nameOf),
  };
}

function comparedCell(one: MeasuredCell, other: MeasuredCell): Omit<ComparedCell, keyof Cell> {
  const latencies = [one, other].filter(({ summary }) => summary?.latency !== undefined);
  if (latencies.length === 2)
    return { latency: compared(one, other, ({ latency }) => latency?.p50 ?? Number.NaN) };
  if (latencies.length === 1) return {};
  return {
    throughput: compared(one, other, ({ bytesPerSecond }) => bytesPerSecond),
    cpu: compared(one, other, cpuPerGiB),
  };
}

function compared(
  before: MeasuredCell,
  after: MeasuredCell,
  value: (run: Run) => number,
): Compared {
  const [old, now] = [before.runs.map(value), after.runs.map(value)];
  const [oldMedian, nowMedian] = [spreadOf(old).median, spreadOf(now).median];
  return {
    before: oldMedian,
    after: nowMedian,
    ratio: nowMedian / oldMedian,
    difference: compareSamples(now, old),
    probability: rankSumProbability(now, old),
  };
}

function differentSettings(before: BenchResult, after: BenchResult): string[] {
  const names = Object.keys({
    ...before.settings,
    ...after.settings,
  }) as (keyof BenchResult["settings"])[];
  return names.filter((name) => {
    const ignored = name === "repeat" || name === "seconds";
    return (
      !ignored && JSON.stringify(before.settings[name]) !== JSON.stringify(after.settings[name])
    );
  });
}

function nameOf({ transport, mode, receiveMode, size }: Cell): Cell {
  return { transport, mode, receiveMode, size };
}

function isMeasured({ runs }: MeasuredCell): boolean {
  return runs.length > 0;
}
