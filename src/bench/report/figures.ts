/** A benchmark's numbers as its tables and plots show them. Pure. */
import { formatCount, formatSize, GiB } from "../../units.ts";
import type { Spread } from "../statistics.ts";

/** Three digits that mean something, of which three decimals at most; "–" where nothing arrived. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const decimals = value === 0 ? 2 : 2 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(decimals, 0), 3));
}

/** "8.93 (7.75 to 9.82)" */
export function formatSpread({ median, min, max }: Spread): string {
  return `${formatFigure(median)} (${formatFigure(min)} to ${formatFigure(max)})`;
}

/** "64 KiB", "65,535 B": unlike `formatSize` it never rounds. */
export function formatExactSize(bytes: number): string {
  const [unit, factor] = units.find(([, factor]) => bytes > 0 && bytes % factor === 0) ?? byte;
  return `${formatCount(bytes / factor)} ${unit}`;
}

export function toGiB({ median, min, max }: Spread): Spread {
  return { median: median / GiB, min: min / GiB, max: max / GiB };
}

const byte = ["B", 1] as const;
const units = [["GiB", GiB], ["MiB", 2 ** 20], ["KiB", 2 ** 10], byte] as const;

/** Of a socket; 0 is what an end that does not tell has. */
export function formatBuffer(bytes: number): string {
  return bytes === 0 ? "unknown" : formatSize(bytes);
}

export function optional<T>(
  value: T | undefined,
  format: (value: T) => string,
): string | undefined {
  return value === undefined ? undefined : format(value);
}
