/** A benchmark for the terminal: a table a transport, with a bar a cell, and what it comes to. Pure. */
import type { Paint } from "../../color.ts";
import { printable } from "../../errors.ts";
import { formatSize } from "../../units.ts";
import type { BenchResult, CellSummary, MeasuredCell } from "../result.ts";
import { fastestOf } from "../verdict.ts";
import { byTransport, failuresOf, wayOf } from "./cells.ts";
import { formatExactSize, formatFigure, formatShare, toGiB } from "./figures.ts";

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
  return [...tables, ...verdicts.map(printable)].join("\n");
}

type Measured = MeasuredCell & { readonly summary: CellSummary };

function tableOf(cells: readonly MeasuredCell[], options: TextOptions): string {
  const measured = cells.filter((cell): cell is Measured => cell.summary !== undefined);
  const failures = failuresOf(cells).map(
    (line) => `   ${options.paint("yellow", printable(line))}`,
  );
  const title = options.paint("bold", cells[0]?.transport ?? "");
  if (measured.length === 0) return [title, ...failures, ""].join("\n");
  return [title, ...rowsOf(measured, options), ...failures, legend(measured), ""].join("\n");
}

interface Column {
  readonly title: string;
  readonly alignsRight: boolean;
  /** undefined where nothing is known; a column of such is left out. */
  readonly text: (cell: Measured, among: readonly Measured[]) => string | undefined;
}

const columns: readonly Column[] = [
  { title: "", alignsRight: false, text: (cell, among) => markOf(cell, among) },
  { title: "mode", alignsRight: false, text: (cell, among) => wayOf(cell, among) },
  { title: "size", alignsRight: true, text: ({ size }) => formatExactSize(size) },
  { title: "GiB/s", alignsRight: true, text: ({ summary }) => rate(summary, "median") },
  {
    title: "min to max",
    alignsRight: true,
    text: ({ summary }) => `${rate(summary, "min")} ${rate(summary, "max")}`,
  },
  { title: "tx CPU s/GiB", alignsRight: true, text: ({ summary }) => cpu(summary.cpu.sender) },
  { title: "rx CPU", alignsRight: true, text: ({ summary }) => cpu(summary.cpu.receiver) },
  { title: "copied", alignsRight: true, text: ({ summary }) => share(summary.copiedShare) },
  {
    title: "notif/send",
    alignsRight: true,
    text: ({ summary }) => figure(summary.notificationsPerSend),
  },
  { title: "retrans", alignsRight: true, text: ({ summary }) => some(summary.retransmits) },
  { title: "lost", alignsRight: true, text: ({ summary }) => share(summary.lostShare) },
];

const barMin = 8;
const barMax = 30;

function rowsOf(cells: readonly Measured[], { paint, width }: TextOptions): string[] {
  const rows = cells.map((cell) => columns.map(({ text }) => text(cell, cells)));
  const shown = columns.flatMap((column, index) => {
    const texts = rows.map((row) => row[index]);
    if (texts.every((text) => text === undefined)) return [];
    const longest = Math.max(column.title.length, ...texts.map((text) => text?.length ?? 0));
    return [{ ...column, texts, longest }];
  });
  const line = (texts: readonly (string | undefined)[]) =>
    shown
      .map(({ alignsRight, longest }, index) => {
        const text = texts[index] ?? "";
        return alignsRight ? text.padStart(longest) : text.padEnd(longest);
      })
      .join("  ");
  const used = shown.reduce((sum, { longest }) => sum + longest + 2, 0);
  const room = Math.min(Math.max(width - used, barMin), barMax);
  const fastest = Math.max(...cells.map(({ summary }) => summary.bytesPerSecond.max));
  const { winner } = fastestOf(cells);
  return [
    line(shown.map(({ title }) => title)).trimEnd(),
    ...cells.map((cell, row) => {
      const text = `${line(shown.map(({ texts }) => texts[row]))}  ${bar(cell, fastest, room)}`;
      return cell === winner ? paint("green", text) : text;
    }),
  ];
}

/** Up to the median; thin from there to the best round. */
function bar({ summary }: Measured, fastest: number, room: number): string {
  const { median, max } = summary.bytesPerSecond;
  const full = Math.round((median / fastest) * room);
  const reach = Math.round((max / fastest) * room);
  return `${"█".repeat(full)}${"─".repeat(Math.max(reach - full, 0))}`;
}

function markOf(cell: Measured, among: readonly Measured[]): string {
  const { winner, alike } = fastestOf(among);
  if (cell === winner) return " *";
  return alike.includes(cell) ? " ~" : "  ";
}

function legend(cells: readonly Measured[]): string {
  const { alike } = fastestOf(cells);
  const noise = alike.length > 0 ? ", ~ not to be told from it" : "";
  const known = cells.flatMap(({ buffers }) => (buffers ? [buffers] : []));
  const sender = range(known.map((buffers) => buffers.sender));
  const receiver = range(known.map((buffers) => buffers.receiver));
  return `   * fastest${noise}; buffers: sender ${sender}, receiver ${receiver}`;
}

function range(sizes: readonly number[]): string {
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)].map(formatSize);
  return least === most ? `${least}` : `${least} to ${most}`;
}

function rate({ bytesPerSecond }: CellSummary, which: "median" | "min" | "max"): string {
  return formatFigure(toGiB(bytesPerSecond)[which]);
}

function cpu({ user, system }: { user: number; system: number }): string {
  return `${user.toFixed(2)}+${system.toFixed(2)}`;
}

function share(value: number | undefined): string | undefined {
  return value === undefined ? undefined : formatShare(value);
}

function figure(value: number | undefined): string | undefined {
  return value === undefined ? undefined : formatFigure(value);
}

function some(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}
