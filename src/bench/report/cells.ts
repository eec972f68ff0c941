/** What reports call a cell, and why it could not run. Pure. */
import type { BenchResult, Cell, MeasuredCell } from "../result.ts";
import { formatExactSize } from "./figures.ts";

export type CellError = NonNullable<MeasuredCell["error"]>;

/** In the order in which they are shown. */
export function byTransport({ cells }: BenchResult): ReadonlyMap<string, readonly MeasuredCell[]> {
  return Map.groupBy(cells, ({ transport }) => transport);
}

/** "splice", or "splice → copy" among cells that are received in several ways. */
export function wayOf({ mode, receiveMode }: Cell, among: readonly Cell[]): string {
  return hasSeveralReceiveModes(among) ? `${mode} → ${receiveMode}` : mode;
}

export function hasSeveralReceiveModes(cells: readonly Cell[]): boolean {
  return cells.some(({ receiveMode }) => receiveMode !== cells[0]?.receiveMode);
}

/** What did not run, or not to its end, and why: a line for all cells that it is true of. */
export function failuresOf(cells: readonly MeasuredCell[]): string[] {
  const failures = cells.flatMap(({ error, ...cell }) => (error ? [{ ...cell, error }] : []));
  const alike = groupBy(failures, (cell) => {
    return JSON.stringify([cell.runs.length, reasonOf(cell.error)]);
  });
  return alike.map((group) => {
    const [{ runs, error }] = group;
    const which = group.length === cells.length ? "" : namesOf(group, cells);
    const rounds = after(runs.length);
    return (
      [which, rounds].filter(Boolean).join(", ") + (which || rounds ? ": " : "") + reasonOf(error)
    );
  });
}

/** "sendfile; splice 4 KiB, 64 KiB": sizes only where others of that way did run. */
function namesOf(cells: readonly Cell[], among: readonly Cell[]): string {
  const ways = groupBy(cells, (cell) => wayOf(cell, among));
  const names = ways.map((way) => {
    const name = wayOf(way[0], among);
    const all = among.filter((cell) => wayOf(cell, among) === name);
    if (all.length === way.length) return name;
    return `${name} ${way.map(({ size }) => formatExactSize(size)).join(", ")}`;
  });
  return names.join("; ");
}

/** Those of the same key together, in the order in which they come. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): [T, ...T[]][] {
  // No group of Map.groupBy is empty, but its type does not say so.
  return [...Map.groupBy(items, keyOf).values()] as [T, ...T[]][];
}

/** "[UNSUPPORTED] what went wrong; what can be done about it" */
export function reasonOf({ code, message, hint }: CellError): string {
  return `[${code}] ${message}${hint ? `; ${hint}` : ""}`;
}

function after(rounds: number): string {
  if (rounds === 0) return "";
  return `after ${rounds === 1 ? "1 round" : `${rounds} rounds`}`;
}
