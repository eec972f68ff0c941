/** What page.js draws: per transport throughput and CPU time by size, a line a way. Pure. */
import type { BenchResult, CellSummary, MeasuredCell, Percentile } from "../result.ts";
import type { Spread } from "../statistics.ts";
import { byTransport, groupBy, wayOf } from "./cells.ts";
import { formatExactSize, formatSpread, toGiB } from "./figures.ts";

export interface TransportPlots {
  readonly transport: string;
  /** All that were measured, ascending; bytes. */
  readonly sizes: readonly number[];
  readonly sizeTexts: readonly string[];
  readonly lines: readonly Line[];
  readonly plots: readonly Plot[];
}

/** A way to move bytes; in all plots a mode has the same colour and shape, a receive mode a dash. */
export interface Line {
  readonly name: string;
  /** 1 to `colors`: the class and the variable in page.css. */
  readonly color: number;
  /** An SVG path about 0,0, some 2 across. */
  readonly shape: string;
  /** CSS pixels. */
  readonly dash: readonly number[];
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  /** What copies of 1 MiB come to. */
  readonly baseline: number | null;
  /** In the order of the transport's lines. */
  readonly lines: readonly Points[];
}

/** By size; null where nothing was measured. */
export interface Points {
  readonly median: readonly (number | null)[];
  readonly min: readonly (number | null)[];
  readonly max: readonly (number | null)[];
  readonly texts: readonly (string | null)[];
}

export const colors = 6;

/** Transports where nothing ran have no plots. */
export function plotsOf(result: BenchResult): TransportPlots[] {
  const styleOf = lineStyles(result.cells);
  return Array.from(byTransport(result)).flatMap(([transport, all]) => {
    const cells = all.filter(isMeasured);
    if (cells.length === 0) return [];
    const sizes = [...new Set(cells.map(({ size }) => size))].sort((a, b) => a - b);
    const ways = groupBy(cells, (cell) => wayOf(cell, all));
    const lines = ways.map(([cell]) => ({ name: wayOf(cell, all), ...styleOf(cell) }));
    const plots = measuresOf(cells).map(({ title, unit, spread, hasBaseline }) => ({
      title,
      unit,
      baseline: hasBaseline ? baselineOf(cells, spread) : null,
      lines: ways.map((way) => pointsOf(way, sizes, spread)),
    }));
    return [{ transport, sizes, sizeTexts: sizes.map(formatExactSize), lines, plots }];
  });
}

type Measured = MeasuredCell & { readonly summary: CellSummary };
type SpreadOfCell = (summary: CellSummary) => Spread;

interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly spread: SpreadOfCell;
  /** Copies of 1 MiB are something to hold other sizes against. */
  readonly hasBaseline: boolean;
}

const throughput: readonly Measure[] = [
  {
    title: "Throughput",
    unit: "GiB/s",
    spread: ({ bytesPerSecond }) => toGiB(bytesPerSecond),
    hasBaseline: true,
  },
  {
    title: "CPU time, both ends",
    unit: "s/GiB",
    spread: ({ cpu }) => cpu.total,
    hasBaseline: true,
  },
];

const latency: readonly Measure[] = [
  { title: "Latency, p50", unit: "µs", spread: microseconds("p50"), hasBaseline: false },
  { title: "Latency, p99", unit: "µs", spread: microseconds("p99"), hasBaseline: false },
];

function measuresOf(cells: readonly Measured[]): readonly Measure[] {
  return cells.some(({ summary }) => summary.latency !== undefined) ? latency : throughput;
}

function microseconds(which: Percentile): SpreadOfCell {
  return ({ latency }) => {
    const { median, min, max } = latency?.[which] ?? { median: 0, min: 0, max: 0 };
    return { median: median / 1e3, min: min / 1e3, max: max / 1e3 };
  };
}

const shapes: [string, ...string[]] = [
  "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0-1 0Z",
  "M-.9-.9H.9V.9H-.9Z",
  "M0-1.2L1.1.8H-1.1Z",
  "M0-1.3L1.3 0L0 1.3L-1.3 0Z",
  "M0 1.2L1.1-.8H-1.1Z",
  "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",
];

const dashes: [number[], ...number[][]] = [[], [6, 4], [2, 3], [10, 3, 2, 3], [14, 4]];

function lineStyles(cells: readonly MeasuredCell[]): (cell: MeasuredCell) => Omit<Line, "name"> {
  const modes = [...new Set(cells.map(({ mode }) => mode))];
  const receiveModes = [...new Set(cells.map(({ receiveMode }) => receiveMode))];
  return ({ mode, receiveMode }) => {
    const index = modes.indexOf(mode);
    return {
      color: (index % colors) + 1,
      shape: pick(shapes, index),
      dash: pick(dashes, receiveModes.indexOf(receiveMode)),
    };
  };
}

/** From the begin again where the list is too short. */
function pick<T>(list: readonly [T, ...T[]], index: number): T {
  return list[index % list.length] ?? list[0];
}

function pointsOf(
  cells: readonly Measured[],
  sizes: readonly number[],
  spread: SpreadOfCell,
): Points {
  const spreads = sizes.map((size) => {
    const cell = cells.find((cell) => cell.size === size);
    return cell && spread(cell.summary);
  });
  return {
    median: spreads.map((spread) => spread?.median ?? null),
    min: spreads.map((spread) => spread?.min ?? null),
    max: spreads.map((spread) => spread?.max ?? null),
    texts: spreads.map((spread) => (spread ? formatSpread(spread) : null)),
  };
}

function baselineOf(cells: readonly Measured[], spread: SpreadOfCell): number | null {
  const baseline = cells.find(({ isBaseline }) => isBaseline);
  return baseline ? spread(baseline.summary).median : null;
}

function isMeasured(cell: MeasuredCell): cell is Measured {
  return cell.summary !== undefined;
}
