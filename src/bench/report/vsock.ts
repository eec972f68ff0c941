/** The table that the virtio/vsock zero-copy work was judged by: seconds for 4000 MB. Pure. */
import { printable } from "../../errors.ts";
import { alignedLines } from "../../lines.ts";
import { formatShare, pageSize } from "../../units.ts";
import type { BenchResult, MeasuredCell } from "../result.ts";
import { failuresOf, wayOf } from "./cells.ts";
import { formatFigure } from "./figures.ts";
import type { TextOptions } from "./text.ts";
import { interruptedText } from "./words.ts";

const total = 4000 * 2 ** 20;

export function toVsockText(
  result: BenchResult,
  verdicts: readonly string[],
  { paint }: TextOptions,
): string {
  const cells = result.cells;
  const measured = cells.filter(({ summary }) => summary !== undefined);
  const ways = [...new Set(measured.map((cell) => wayOf(cell, measured)))];
  const sizes = [...new Set(measured.map(({ size }) => size))].sort((one, other) => one - other);
  const rows = sizes.map((size) => {
    const found = ways.map((way) => {
      return measured.find((cell) => cell.size === size && wayOf(cell, measured) === way);
    });
    return [pagesText(size), ...found.flatMap((cell) => [secondsText(cell), copiedText(cell)])];
  });
  const header = ["pages", ...ways.flatMap((way) => [`${way}, s`, "copied"])];
  const table = rows.length === 0 ? [] : alignedLines([header, ...rows]);
  return [
    paint("bold", "vsock, seconds for 4000 MB at the rate measured, median (min to max)"),
    ...table,
    ...failuresOf(cells).map((line) => paint("yellow", printable(line))),
    ...(result.isComplete ? [] : [paint("yellow", interruptedText)]),
    "",
    ...verdicts.map(printable),
  ].join("\n");
}

function pagesText(size: number): string {
  return size % pageSize === 0 ? String(size / pageSize) : `${size} B`;
}

function secondsText(cell: MeasuredCell | undefined): string {
  if (cell?.summary === undefined) return "";
  const { median, min, max } = cell.summary.bytesPerSecond;
  const [typical, best, worst] = [median, max, min].map((rate) => formatFigure(total / rate));
  return `${typical} (${best} to ${worst})`;
}

function copiedText(cell: MeasuredCell | undefined): string {
  const share = cell?.summary?.copiedShare;
  return share === undefined ? "" : formatShare(share);
}
