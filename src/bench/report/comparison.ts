/** Two results side by side, for the terminal. Pure. */
import type { Paint } from "../../color.ts";
import { printable } from "../../errors.ts";
import { alignedLines } from "../../lines.ts";
import { formatTime, GiB } from "../../units.ts";
import type { Compared, ComparedCell, Comparison } from "../compare.ts";
import { significance } from "../rank-test.ts";
import type { Machine } from "../result.ts";
import { wayOf } from "./cells.ts";
import { formatExactSize, formatFigure } from "./figures.ts";

const names = ["transport", "mode", "size"];
const throughputTitles = ["GiB/s before", "after", "×", "", "CPU s/GiB before", "after", "×", ""];
const latencyTitles = ["p50 before", "after", "×", ""];
const leftColumns = 2;

export function comparisonText(comparison: Comparison, paint: Paint): string {
  const { before, after, cells, differentSettings, unmatched } = comparison;
  const rows = cells.map((cell) => rowOf(cell, cells));
  const hasLatency = cells.some(({ latency }) => latency !== undefined);
  const header = [...names, ...(hasLatency ? latencyTitles : throughputTitles)];
  const [title = "", ...lines] = alignedLines([header, ...rows], leftColumns);
  const chance = Math.ceil(cells.length * significance);
  return [
    `before: ${machineText(before)}`,
    `after:  ${machineText(after)}`,
    ...differentSettings.map((name) => paint("yellow", `the two differ in ${name}`)),
    "",
    ...(cells.length === 0 ? ["no cell was measured in both"] : [title]),
    ...lines.map((line, index) => painted(cells[index], line, paint)),
    ...unmatched.map((cell) => {
      return `only in one: ${cell.transport} ${cell.mode} ${formatExactSize(cell.size)}`;
    }),
    "",
    `≈: not to be told apart (rank-sum test, ${significance}); by chance ${chance} of ${cells.length} may seem to differ`,
  ].join("\n");
}

/** "≈" where the two are not to be told apart. */
function rowOf(cell: ComparedCell, among: readonly ComparedCell[]): string[] {
  const { throughput, cpu, latency } = cell;
  const gib = (value: number) => formatFigure(value / GiB);
  return [
    ...[cell.transport, wayOf(cell, among), formatExactSize(cell.size)],
    ...(throughput ? columnsOf(throughput, gib) : []),
    ...(cpu ? columnsOf(cpu, formatFigure) : []),
    ...(latency ? columnsOf(latency, formatTime) : []),
  ];
}

function columnsOf(compared: Compared, format: (value: number) => string): string[] {
  const { before, after, ratio, difference } = compared;
  const sign = { less: "less", greater: "more", unclear: "≈" }[difference];
  return [format(before), format(after), formatFigure(ratio), sign];
}

function painted(cell: ComparedCell | undefined, line: string, paint: Paint): string {
  const { throughput, latency } = cell ?? {};
  const difference = throughput?.difference ?? latency?.difference ?? "unclear";
  if (difference === "unclear") return line;
  return paint(difference === (throughput ? "greater" : "less") ? "green" : "red", line);
}

function machineText({ kernel, processors, processor, congestion }: Machine): string {
  return printable(`Linux ${kernel}, ${processors} × ${processor}, TCP by ${congestion}`);
}
