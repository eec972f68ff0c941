/** What the figures come to, in a line each: which mode pays, from which size on, and what is fastest. Pure. */
import { formatRate } from "../units.ts";
import { compareSamples, type Difference, samplesMin } from "./rank-test.ts";
import { formatExactSize, formatFigure } from "./report/figures.ts";
import type { BenchResult, MeasuredCell } from "./result.ts";

/** A line a mode of each transport, and one on its fastest cell; warnings last. */
export function verdictsOf({ cells, settings }: BenchResult): string[] {
  const transports = Map.groupBy(cells, ({ transport }) => transport);
  const lines = Array.from(transports.values()).flatMap((all) => {
    const measured = all.filter(({ runs }) => runs.length > 0);
    return measured.length === 0 ? [] : [...modeLines(measured), fastestLine(measured)];
  });
  if (settings.repeat >= samplesMin) return lines;
  return [...lines, `fewer than ${samplesMin} rounds cannot tell two cells apart: --repeat 5`];
}

/** The cells of a transport that nothing measured is faster than, as far as can be told. */
export function fastestOf(cells: readonly MeasuredCell[]): {
  readonly winner: MeasuredCell | undefined;
  readonly alike: readonly MeasuredCell[];
} {
  const winner = cells.reduce<MeasuredCell | undefined>((best, cell) => {
    return rateOf(cell) > (best === undefined ? 0 : rateOf(best)) ? cell : best;
  }, undefined);
  if (winner === undefined) return { winner, alike: [] };
  const alike = cells.filter((cell) => cell !== winner && differenceOf(cell, winner) === "unclear");
  return { winner, alike: alike.filter(({ runs }) => runs.length > 0) };
}

function modeLines(cells: readonly MeasuredCell[]): string[] {
  const ways = Map.groupBy(
    cells.filter(({ mode }) => mode !== "copy"),
    ({ mode, receiveMode }) => JSON.stringify([mode, receiveMode]),
  );
  return Array.from(ways.values()).flatMap((way) => {
    const pairs = pairsOf(way, cells);
    return pairs.length === 0 ? [] : [modeLine(pairs, cells)];
  });
}

interface Pair {
  readonly cell: MeasuredCell;
  /** Copies of the same size. */
  readonly copy: MeasuredCell;
  readonly difference: Difference;
  /** Of the medians of throughput, and of CPU time. */
  readonly ratio: number;
  readonly cpuRatio: number;
}

/** By size, ascending. */
function pairsOf(way: readonly MeasuredCell[], cells: readonly MeasuredCell[]): Pair[] {
  const pairs = way.flatMap((cell) => {
    const copy = cells.find(
      ({ mode, receiveMode, size }) =>
        mode === "copy" && receiveMode === cell.receiveMode && size === cell.size,
    );
    if (copy === undefined) return [];
    const ratio = rateOf(cell) / rateOf(copy);
    const cpuRatio = cpuOf(cell) / cpuOf(copy);
    return [{ cell, copy, difference: differenceOf(cell, copy), ratio, cpuRatio }];
  });
  return pairs.sort((one, other) => one.cell.size - other.cell.size);
}

function modeLine(pairs: readonly Pair[], cells: readonly MeasuredCell[]): string {
  const [{ cell }] = pairs as [Pair];
  const several = cells.some(({ receiveMode }) => receiveMode !== cell.receiveMode);
  const name = several ? `${cell.mode} to ${cell.receiveMode}` : cell.mode;
  return `${cell.transport}: ${name} ${outcome(pairs)}`;
}

function outcome(pairs: readonly Pair[]): string {
  const gains = pairs.filter(({ difference }) => difference === "greater");
  if (gains.length === 0) {
    const best = bestOf(pairs);
    const isClear = pairs.every(({ difference }) => difference === "less");
    const never = isClear
      ? "never pays"
      : "does not pay, as far as this machine's noise lets one see";
    return `${never}: at best ${described(best)}`;
  }
  const best = bestOf(gains);
  const [first] = gains as [Pair];
  const fromThere = pairs.filter(({ cell }) => cell.size >= first.cell.size);
  const isThroughout = fromThere.every(({ difference }) => difference === "greater");
  if (isThroughout && gains.length === pairs.length && pairs.length > 1)
    return `pays at every size: ${described(best)}`;
  const sizes = gains.map(({ cell }) => formatExactSize(cell.size)).join(", ");
  const where = isThroughout ? `from ${formatExactSize(first.cell.size)} on` : `at ${sizes} only`;
  return `pays ${where}: ${described(best)}`;
}

function bestOf(pairs: readonly Pair[]): Pair {
  return pairs.reduce((best, pair) => (pair.ratio > best.ratio ? pair : best));
}

function described({ cell, ratio, cpuRatio }: Pair): string {
  const size = formatExactSize(cell.size);
  const copied = cell.summary?.copiedShare ?? 0;
  const kernel = copied >= 0.5 ? "; the kernel copies it after all" : "";
  return `${formatFigure(ratio)} × copying ${size}, with ${formatFigure(cpuRatio)} × its CPU time${kernel}`;
}

function fastestLine(cells: readonly MeasuredCell[]): string {
  const { winner, alike } = fastestOf(cells);
  if (winner === undefined) return "";
  const baseline = cells.find(({ isBaseline }) => isBaseline);
  const against =
    baseline === undefined || baseline === winner
      ? ""
      : `, ${formatFigure(rateOf(winner) / rateOf(baseline))} × copying ${formatExactSize(baseline.size)}`;
  const others =
    alike.length === 0
      ? ""
      : ` (this machine is too noisy to tell it from ${alike.map(nameOf).join(", ")})`;
  const rate = formatRate(rateOf(winner));
  return `${winner.transport}: fastest is ${nameOf(winner)}, ${rate}${against}${others}`;
}

function nameOf({ mode, size }: MeasuredCell): string {
  return `${mode} ${formatExactSize(size)}`;
}

function differenceOf(cell: MeasuredCell, other: MeasuredCell): Difference {
  return compareSamples(ratesOf(cell), ratesOf(other));
}

function ratesOf({ runs }: MeasuredCell): number[] {
  return runs.map(({ bytesPerSecond }) => bytesPerSecond);
}

function rateOf({ summary }: MeasuredCell): number {
  return summary?.bytesPerSecond.median ?? 0;
}

function cpuOf({ summary }: MeasuredCell): number {
  return summary?.cpu.total.median ?? Number.NaN;
}
