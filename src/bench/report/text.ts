/** A benchmark for the terminal: a table a transport, with a bar a cell, and what it comes to. Pure. */
import type { Paint } from "../../color.ts";
import { printable } from "../../errors.ts";
import { alignedLines } from "../../lines.ts";
import { formatShare, formatTime } from "../../units.ts";
import {
  type BenchResult,
  type CellSummary,
  type MeasuredCell,
  type Percentile,
  unanswered,
} from "../result.ts";
import type { Spread } from "../statistics.ts";
import { fastestOf, rivalsOf } from "../verdict.ts";
import { byTransport, failuresOf, wayOf } from "./cells.ts";
import { formatBuffer, formatExactSize, formatFigure, optional, toGiB } from "./figures.ts";
import { interruptedText } from "./words.ts";

export interface TextOptions {
  readonly paint: Paint;
  /** Characters a line, at most. */
  readonly width: number;
}

export function toText(
  result: BenchResult,
  verdicts: readonly string[],
  options: TextOptions,
): string {
  const tables = Array.from(byTransport(result).values(), (cells) => tableOf(cells, options));
  const notice = result.isComplete ? [] : [options.paint("yellow", interruptedText)];
  return [...tables, ...notice, ...verdicts.map(printable)].join("\n");
}

type Measured = MeasuredCell & { readonly summary: CellSummary };

function tableOf(cells: readonly MeasuredCell[], options: TextOptions): string {
  const measured = cells.filter((cell): cell is Measured => cell.summary !== undefined);
  const failures = failuresOf(cells).map((line) => {
    return `   ${options.paint("yellow", printable(line))}`;
  });
  const title = options.paint("bold", cells[0]?.transport ?? "");
  const marks = marksOf(measured);
  const isEmpty = measured.length === 0;
  const rows = isEmpty ? [] : [...rowsOf(measured, marks, options), legend(measured, marks)];
  return [title, ...rows, ...failures, ""].join("\n");
}

interface Column {
  readonly title: string;
  /** undefined where nothing is known; a column of such is left out. */
  readonly text: (cell: Measured, among: readonly Measured[]) => string | undefined;
}

const names: readonly Column[] = [
  { title: "mode", text: (cell, among) => wayOf(cell, among) },
  { title: "size", text: ({ size }) => formatExactSize(size) },
];
/** A mark and the mode; numbers are aligned right. */
const leftColumns = 2;

const throughput: readonly Column[] = [
  { title: "GiB/s", text: ({ summary }) => formatFigure(gib(summary).median) },
  {
    title: "min to max",
    text: ({ summary }) => `${formatFigure(gib(summary).min)} ${formatFigure(gib(summary).max)}`,
  },
  { title: "tx CPU s/GiB", text: ({ summary }) => cpu(summary.cpu.sender) },
  { title: "rx CPU", text: ({ summary }) => cpu(summary.cpu.receiver) },
];

/** A sender that waits awake for when a request is due has no CPU time that means anything. */
const latency: readonly Column[] = [
  { title: "p50", text: (cell) => percentile(cell, "p50", ({ median }) => median) },
  { title: "least", text: (cell) => percentile(cell, "p50", ({ min }) => min) },
  { title: "most", text: (cell) => percentile(cell, "p50", ({ max }) => max) },
  { title: "p90", text: (cell) => percentile(cell, "p90", ({ median }) => median) },
  { title: "p99", text: (cell) => percentile(cell, "p99", ({ median }) => median) },
  { title: "p99.9", text: (cell) => percentile(cell, "p999", ({ median }) => median) },
  { title: "max", text: (cell) => percentile(cell, "max", ({ median }) => median) },
  { title: "unanswered", text: unansweredText },
];

const zerocopy: readonly Column[] = [
  { title: "copied", text: ({ summary }) => optional(summary.copiedShare, formatShare) },
  {
    title: "rx copied",
    text: ({ summary }) => optional(summary.receiverCopiedShare, formatShare),
  },
  {
    title: "notif/send",
    text: ({ summary }) => optional(summary.notificationsPerSend, formatFigure),
  },
  { title: "retrans", text: ({ summary }) => optional(summary.retransmits, String) },
  { title: "lost", text: ({ summary }) => optional(summary.lostShare, formatShare) },
];

const barMin = 8;
const barMax = 30;

function rowsOf(cells: readonly Measured[], marks: Marks, { paint, width }: TextOptions): string[] {
  const columns = [...names, ...(hasLatency(cells) ? latency : throughput), ...zerocopy];
  const rows = cells.map((cell) => {
    return [marks.get(cell) ?? " ", ...columns.map(({ text }) => text(cell, cells) ?? "")];
  });
  const header = [" ", ...columns.map(({ title }) => title)];
  const [titles = "", ...body] = alignedLines([header, ...rows], leftColumns);
  const used = Math.max(titles.length, ...body.map(({ length }) => length)) + 2;
  const room = width - used < barMin ? 0 : Math.min(width - used, barMax);
  const longest = Math.max(...cells.map((cell) => barOf(cell).max));
  return [
    titles,
    ...body.map((line, row) => {
      const cell = cells[row];
      if (cell === undefined) return line;
      const text = `${line.padEnd(used)}${bar(barOf(cell), longest, room)}`.trimEnd();
      return marks.get(cell) === best ? paint("green", text) : text;
    }),
  ];
}

/** What a cell's bar shows. */
function barOf({ summary }: Measured): Spread {
  return summary.latency?.p50 ?? summary.bytesPerSecond;
}

/** Up to the median; thin from there to the most. */
function bar({ median, max }: Spread, longest: number, room: number): string {
  const full = Math.round((median / longest) * room);
  const reach = Math.round((max / longest) * room);
  return `${"█".repeat(full)}${"─".repeat(Math.max(reach - full, 0))}`;
}

type Marks = ReadonlyMap<MeasuredCell, string>;

const best = " *";
const like = " ~";

/** The best of each field of rivals, and what is not to be told from it. */
function marksOf(cells: readonly Measured[]): Marks {
  const fields = new Map(
    cells.map((cell) => rivalsOf(cell, cells)).map((field) => [field[0], field]),
  );
  const marks = Array.from(fields.values()).flatMap((field): [MeasuredCell, string][] => {
    const { winner, alike } = fastestOf(field);
    const others = alike.map((cell): [MeasuredCell, string] => [cell, like]);
    return winner === undefined ? others : [...others, [winner, best]];
  });
  return new Map(marks);
}

function legend(cells: readonly Measured[], marks: Marks): string {
  const hasNoise = [...marks.values()].includes(like);
  const title = hasLatency(cells) ? "least of its size" : "fastest";
  const known = cells.flatMap(({ buffers }) => (buffers ? [buffers] : []));
  const sender = range(known.map((buffers) => buffers.sender));
  const receiver = range(known.map((buffers) => buffers.receiver));
  const noise = hasNoise ? ", ~ not to be told from it" : "";
  return `   * ${title}${noise}; buffers: sender ${sender}, receiver ${receiver}`;
}

function hasLatency(cells: readonly Measured[]): boolean {
  return cells.some(({ summary }) => summary.latency !== undefined);
}

function range(sizes: readonly number[]): string {
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)].map(formatBuffer);
  return least === most ? `${least}` : `${least} to ${most}`;
}

function gib({ bytesPerSecond }: CellSummary): Spread {
  return toGiB(bytesPerSecond);
}

function percentile(
  { summary }: Measured,
  name: Percentile,
  which: (spread: Spread) => number,
): string | undefined {
  return optional(summary.latency?.[name], (spread) => formatTime(which(spread)));
}

function unansweredText({ runs }: Measured): string | undefined {
  const missing = unanswered(runs);
  return missing === 0 ? undefined : String(missing);
}

function cpu({ user, system }: { user: number; system: number }): string {
  return `${user.toFixed(2)}+${system.toFixed(2)}`;
}
