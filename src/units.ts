/** Sizes, rates, times and counts as people write and read them. */
import { printable, usageError } from "./errors.ts";

export const GiB = 2 ** 30;
/** Of x86, and what a page is where people count in pages; bytes. */
export const pageSize = 4096;

/** Bytes: `4096`, `64K` and `64KiB` (powers of 1024), `1.5G`, `8p` (pages). Throws USAGE. */
export function parseSize(text: string, name: string, page = pageSize): number {
  const units = new Map([...sizeUnits, ["p", BigInt(page)]]);
  return parseQuantity(text, name, { units, of: "bytes", example: "64K, 1.5G or 8p" });
}

/** Bytes a second: `100M` as in a size, `1gbit` in bits. Throws USAGE. */
export function parseRate(text: string, name: string): number {
  const example = "100M or 1gbit";
  return parseQuantity(text, name, { units: rateUnits, per: 8n, of: "bytes a second", example });
}

/** The longest that a timer takes; ms. */
export const durationMsMax = 0x7fff_ffff;

/** Milliseconds: `500ms`, `1.5s`, `2m`, `1h`, and `0`; up to `durationMsMax`. Throws USAGE. */
export function parseDuration(text: string, name: string): number {
  if (text === "0") return 0;
  const quantity = { units: timeUnits, of: "milliseconds", example: "500ms, 1.5s or 2m" };
  return parseQuantity(text, name, { ...quantity, max: durationMsMax });
}

/** A whole number within the limits, both included. Throws USAGE. */
export function parseCount(
  text: string,
  name: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  const reason = `"${printable(text)}" is not a whole number from ${min} to ${max}`;
  throw usageError(name, reason, `for example ${min}`);
}

/** "12 B", "1.5 GiB". */
export function formatSize(bytes: number): string {
  return formatBytes(bytes, 1);
}

/** "3.21 GiB/s". */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond, 2)}/s`;
}

/** "0.34 s", "2:05", "1:02:03". */
export function formatDuration(seconds: number): string {
  const text = seconds.toFixed(2);
  if (Number(text) < 60) return `${text} s`;
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const [first, ...rest] = hours > 0 ? [hours, ...parts] : parts;
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

/** "12 ns", "34.1 µs", "1.2 ms", "3.0 s". */
export function formatTime(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(1)} s`;
}

/** "65,536". */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 page", "65,536 pages". */
export function formatCounted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** "12 %"; what is not none is never "0 %", and what is not all never "100 %". */
export function formatShare(share: number): string {
  const percent = Math.round(share * 100);
  if (percent === 0 && share > 0) return "< 1 %";
  if (percent === 100 && share < 1) return "> 99 %";
  return `${percent} %`;
}

const kilo = 1024n;

/** A unit in capitals may be written in small letters too; "p" and the times may only be small. */
type Units = ReadonlyMap<string, bigint>;

const sizeUnits: Units = new Map([
  ["", 1n],
  ["B", 1n],
  ["K", kilo],
  ["KIB", kilo],
  ["M", kilo ** 2n],
  ["MIB", kilo ** 2n],
  ["G", kilo ** 3n],
  ["GIB", kilo ** 3n],
  ["T", kilo ** 4n],
  ["TIB", kilo ** 4n],
]);

/** In bits. */
const rateUnits: Units = new Map([
  ...Array.from(sizeUnits, ([unit, bytes]): [string, bigint] => [unit, 8n * bytes]),
  ["BIT", 1n],
  ["KBIT", 1000n],
  ["MBIT", 1000n ** 2n],
  ["GBIT", 1000n ** 3n],
]);

const timeUnits: Units = new Map([
  ["ms", 1n],
  ["s", 1000n],
  ["m", 60_000n],
  ["h", 3_600_000n],
]);

interface Quantity {
  readonly units: Units;
  /** How many of the units make one of the result. */
  readonly per?: bigint;
  readonly max?: number;
  readonly of: string;
  readonly example: string;
}

/** In integers, since 1.005 times 1000 is not 1005 in floating point. */
function parseQuantity(text: string, name: string, quantity: Quantity): number {
  const { units, per = 1n, max = Number.MAX_SAFE_INTEGER, of } = quantity;
  const wrong = (reason: string) =>
    usageError(name, `"${printable(text)}" ${reason}`, `for example ${quantity.example}`);
  const [, whole, fraction = "", unit = ""] = /^(\d+)(?:\.(\d+))?([a-z]*)$/i.exec(text) ?? [];
  if (whole === undefined) throw wrong("is not a number and a unit");
  const factor = units.get(unit) ?? units.get(unit.toUpperCase());
  if (factor === undefined) throw wrong(unit ? `has an unknown unit, "${unit}"` : "has no unit");
  const numerator = BigInt(whole + fraction) * factor;
  const denominator = 10n ** BigInt(fraction.length) * per;
  if (numerator % denominator !== 0n) throw wrong(`is not a whole number of ${of}`);
  const value = numerator / denominator;
  if (value > max) throw wrong(`is more than ${max} ${of}`);
  return Number(value);
}

function formatBytes(bytes: number, digits: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    const text = value.toFixed(unit === "B" ? 0 : digits);
    if (Number(text) < 1024) return `${text} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(digits)} PiB`;
}
