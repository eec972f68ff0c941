/** What the figures come to, in a line each: which mode pays, from which size on, and what is fastest. Pure. */
import { formatRate, formatSize } from "../units.ts";
import { compareSamples, samplesMin } from "./rank-test.ts";
import { formatExactSize, formatFigure } from "./report/figures.ts";
import type { BenchResult, MeasuredCell, Run } from "./result.ts";
import { spreadOf } from "./statistics.ts";
import { sumOf } from "./streams.ts";

/** What a run is judged by. */
interface Measure {
  readonly of: (run: Run) => number;
  /** How a better cell lies to a worse one. */
  readonly better: "greater" | "less";
  /** "2.2 × copying 64 KiB" of throughput; of latency it says which. */
  readonly versus: string;
  /** CPU time means something: no sender waited awake. */
  readonly hasCpu: boolean;
}

const throughput: Measure = {
  of: ({ bytesPerSecond }) => bytesPerSecond,
  better: "greater",
  versus: "copying",
  hasCpu: true,
};

/** The median: of few requests the rare ones say little. */
const latency: Measure = {
  of: ({ latency }) => latency?.p50 ?? Number.NaN,
  better: "less",
  versus: "the median latency of copying",
  hasCpu: false,
};

/** A line a mode of each transport, and one on its fastest cell; warnings last. */
export function verdictsOf({ cells }: BenchResult): string[] {
  const measured = cells.filter(({ runs }) => runs.length > 0);
  const transports = Map.groupBy(measured, ({ transport }) => transport);
  const lines = Array.from(transports.values()).flatMap((all) => {
    return [...modeLines(all), ...fastestLine(all), ...pieceLines(all)];
  });
  if (measured.every(hasEnough)) return lines;
  return [...lines, `fewer than ${samplesMin} rounds cannot tell two cells apart: --repeat 5`];
}

function hasEnough({ runs }: MeasuredCell): boolean {
  return runs.length >= samplesMin;
}

/** Those that it competes with: latencies of another size are another matter. */
export function rivalsOf(cell: MeasuredCell, cells: readonly MeasuredCell[]): MeasuredCell[] {
  const isLatency = measureOf(cells) === latency;
  return cells.filter(({ size }) => !isLatency || size === cell.size);
}

/** The cells of a transport that nothing measured is faster than, as far as can be told. */
export function fastestOf(cells: readonly MeasuredCell[]): {
  readonly winner: MeasuredCell | undefined;
  readonly alike: readonly MeasuredCell[];
} {
  const measured = cells.filter(({ runs }) => runs.length > 0);
  const measure = measureOf(measured);
  const [first, ...rest] = measured;
  if (first === undefined) return { winner: undefined, alike: [] };
  const winner = rest.reduce(
    (best, cell) => (gainOf(cell, best, measure) > 1 ? cell : best),
    first,
  );
  const others = measured.filter((cell) => cell !== winner);
  const alike = others.filter((cell) => differenceOf(cell, winner, measure) === "unclear");
  return { winner, alike };
}

/** Which measure these cells were made for: all of a result are of one kind. */
function measureOf(cells: readonly MeasuredCell[]): Measure {
  const hasLatency = cells.some(({ summary }) => summary?.latency !== undefined);
  return hasLatency ? latency : throughput;
}

function modeLines(cells: readonly MeasuredCell[]): string[] {
  const ways = Map.groupBy(
    cells.filter(({ mode }) => mode !== "copy"),
    ({ mode, receiveMode }) => JSON.stringify([mode, receiveMode]),
  );
  const measure = measureOf(cells);
  return Array.from(ways.values()).flatMap((way) => {
    const pairs = pairsOf(way, cells, measure);
    return pairs.length === 0 ? [] : [modeLine(pairs, cells, measure)];
  });
}

interface Pair {
  readonly cell: MeasuredCell;
  readonly difference: "better" | "worse" | "unclear";
  /** Of the medians, to those of copies of the same size; of CPU time too. */
  readonly ratio: number;
  readonly cpuRatio: number;
  /** The same, so that more is better. */
  readonly gain: number;
}

/** By size, ascending. */
function pairsOf(
  way: readonly MeasuredCell[],
  cells: readonly MeasuredCell[],
  measure: Measure,
): Pair[] {
  const pairs = way.flatMap((cell) => {
    const copy = cells.find(
      ({ mode, receiveMode, size }) =>
        mode === "copy" && receiveMode === cell.receiveMode && size === cell.size,
    );
    if (copy === undefined) return [];
    const ratio = medianOf(cell, measure) / medianOf(copy, measure);
    const cpuRatio = cpuOf(cell) / cpuOf(copy);
    const difference = differenceOf(cell, copy, measure);
    return [{ cell, difference, ratio, cpuRatio, gain: gainOf(cell, copy, measure) }];
  });
  return pairs.sort((one, other) => one.cell.size - other.cell.size);
}

function modeLine(
  pairs: readonly Pair[],
  cells: readonly MeasuredCell[],
  measure: Measure,
): string {
  const [{ cell }] = pairs as [Pair];
  const several = cells.some(({ receiveMode }) => receiveMode !== cell.receiveMode);
  const name = several ? `${cell.mode} to ${cell.receiveMode}` : cell.mode;
  return `${cell.transport}: ${name} ${outcome(pairs, measure)}`;
}

function outcome(pairs: readonly Pair[], measure: Measure): string {
  const gains = pairs.filter(({ difference }) => difference === "better");
  if (gains.length === 0) {
    const isClear = pairs.every(({ difference }) => difference === "worse");
    const never = isClear ? "never pays" : unclear(pairs);
    return `${never}: at best ${described(bestOf(pairs), measure)}`;
  }
  return `pays ${where(pairs, gains)}: ${described(bestOf(gains), measure)}`;
}

/** Few rounds tell nothing, however quiet it is. */
function unclear(pairs: readonly Pair[]): string {
  if (!pairs.every(({ cell }) => hasEnough(cell))) return "is not known to pay";
  return "does not pay, as far as this machine's noise lets one see";
}

/** At which sizes. */
function where(pairs: readonly Pair[], gains: readonly Pair[]): string {
  const sizes = gains.map(({ cell }) => formatExactSize(cell.size));
  const later = pairs.slice(pairs.length - gains.length);
  const isThroughout = later.every(({ difference }) => difference === "better");
  if (!isThroughout) return `at ${sizes.join(", ")} only`;
  if (pairs.length === 1) return `at ${sizes[0]}`;
  return gains.length === pairs.length ? "at every size" : `from ${sizes[0]} on`;
}

function bestOf(pairs: readonly Pair[]): Pair {
  return pairs.reduce((best, pair) => (pair.gain > best.gain ? pair : best));
}

function described({ cell, ratio, cpuRatio }: Pair, { versus, hasCpu }: Measure): string {
  const size = formatExactSize(cell.size);
  const cpu = hasCpu ? `, with ${formatFigure(cpuRatio)} × its CPU time` : "";
  const isCopied = (cell.summary?.copiedShare ?? 0) >= 0.5;
  const kernel = isCopied ? "; the kernel copies it after all" : "";
  return `${formatFigure(ratio)} × ${versus} ${size}${cpu}${kernel}`;
}

/** Latencies are those of a size: between sizes there is nothing to win. */
function fastestLine(cells: readonly MeasuredCell[]): string[] {
  const measure = measureOf(cells);
  const { winner, alike } = fastestOf(cells);
  if (winner === undefined || measure === latency) return [];
  const baseline = cells.find(({ isBaseline }) => isBaseline);
  const isOther = baseline !== undefined && baseline !== winner;
  const against = isOther
    ? `, ${formatFigure(medianOf(winner, measure) / medianOf(baseline, measure))} × copying ${formatExactSize(baseline.size)}`
    : "";
  const isNoise = cells.every(hasEnough);
  const noise = isNoise ? "this machine is too noisy to tell it from" : "not to be told from";
  const others = alike.length === 0 ? "" : ` (${noise} ${alike.map(nameOf).join(", ")})`;
  const rate = formatRate(medianOf(winner, measure));
  return [`${winner.transport}: fastest is ${nameOf(winner)}, ${rate}${against}${others}`];
}

/** Sends that had to be smaller than their size says. */
function pieceLines(cells: readonly MeasuredCell[]): string[] {
  return cells.flatMap((cell) => {
    const { runs, size, transport } = cell;
    const retries = sumOf(runs, ({ zerocopy }) => zerocopy.retries);
    const calls = sumOf(runs, ({ sender }) => sender.calls);
    const piece = sumOf(runs, ({ bytes }) => bytes) / calls;
    if (retries === 0 || piece > size * (3 / 4)) return [];
    const reason = "locked or option memory was used up, see zc doctor";
    return [`${transport}: ${nameOf(cell)} went in pieces of ${formatSize(piece)}: ${reason}`];
  });
}

function nameOf({ mode, size }: MeasuredCell): string {
  return `${mode} ${formatExactSize(size)}`;
}

function differenceOf(
  cell: MeasuredCell,
  other: MeasuredCell,
  { of, better }: Measure,
): Pair["difference"] {
  const difference = compareSamples(cell.runs.map(of), other.runs.map(of));
  if (difference === "unclear") return "unclear";
  return difference === better ? "better" : "worse";
}

/** How many times as good a cell is as another, by the medians. */
function gainOf(cell: MeasuredCell, other: MeasuredCell, measure: Measure): number {
  const ratio = medianOf(cell, measure) / medianOf(other, measure);
  return measure.better === "greater" ? ratio : 1 / ratio;
}

function medianOf({ runs }: MeasuredCell, { of }: Measure): number {
  return spreadOf(runs.map(of)).median;
}

function cpuOf({ summary }: MeasuredCell): number {
  return summary?.cpu.total.median ?? Number.NaN;
}
