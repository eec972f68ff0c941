/** Two results side by side, for the terminal. Pure. */
import type { Paint } from "../../color.ts";
import { printable } from "../../errors.ts";
import type { Compared, ComparedCell, Comparison } from "../compare.ts";
import { significance } from "../rank-test.ts";
import type { Machine } from "../result.ts";
import { wayOf } from "./cells.ts";
import { formatExactSize, formatFigure } from "./figures.ts";
import { alignedLines } from "./lines.ts";

const GiB = 2 ** 30;
const header = [
  "transport",
  "mode",
  "size",
  "GiB/s before",
  "after",
  "×",
  "",
  "CPU s/GiB before",
  "after",
  "×",
  "",
];
const leftColumns = 2;

export function comparisonText(comparison: Comparison, paint: Paint): string {
  const { before, after, cells, differentSettings, unmatched } = comparison;
  const rows = cells.map((cell) => rowOf(cell, cells));
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
  const { throughput, cpu } = cell;
  const way = wayOf(cell, among);
  const rates = [throughput.before / GiB, throughput.after / GiB].map(formatFigure);
  const times = [cpu.before, cpu.after].map(formatFigure);
  return [
    ...[cell.transport, way, formatExactSize(cell.size)],
    ...[...rates, formatFigure(throughput.ratio), signOf(throughput)],
    ...[...times, formatFigure(cpu.ratio), signOf(cpu)],
  ];
}

function signOf({ difference }: Compared): string {
  return { less: "less", greater: "more", unclear: "≈" }[difference];
}

function painted(cell: ComparedCell | undefined, line: string, paint: Paint): string {
  if (cell === undefined || cell.throughput.difference === "unclear") return line;
  return paint(cell.throughput.difference === "greater" ? "green" : "red", line);
}

function machineText({ kernel, processors, processor, congestion }: Machine): string {
  return printable(`Linux ${kernel}, ${processors} × ${processor}, TCP by ${congestion}`);
}
