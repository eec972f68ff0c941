/** A benchmark as CSV, RFC 4180: tidy data, for other programs. Pure. */
import type { BenchResult, MeasuredCell, Run } from "../result.ts";
import { reasonOf } from "./cells.ts";

/** A row a run; what ended a cell, or kept it from running, has a row of its own. */
export function toCsv({ cells }: BenchResult): string {
  const header = columns.map(([name]) => name);
  const rows = cells.flatMap(rowsOf).map((row) => columns.map(([, field]) => field(row)));
  return [header, ...rows].map(toRecord).join("");
}

interface Row {
  readonly cell: MeasuredCell;
  readonly round?: number;
  readonly run?: Run;
  readonly error?: string | undefined;
}

type Field = string | number | undefined;

const columns: readonly (readonly [name: string, field: (row: Row) => Field])[] = [
  ["transport", ({ cell }) => cell.transport],
  ["mode", ({ cell }) => cell.mode],
  ["receive_mode", ({ cell }) => cell.receiveMode],
  ["size_bytes", ({ cell }) => cell.size],
  ["round", ({ round }) => round],
  ["bytes", ({ run }) => run?.bytes],
  ["seconds", ({ run }) => run?.seconds],
  ["bytes_per_second", ({ run }) => run?.bytesPerSecond],
  ["sender_user_seconds", ({ run }) => run?.sender.user],
  ["sender_system_seconds", ({ run }) => run?.sender.system],
  ["receiver_user_seconds", ({ run }) => run?.receiver.user],
  ["receiver_system_seconds", ({ run }) => run?.receiver.system],
  ["sender_calls", ({ run }) => run?.sender.calls],
  ["receiver_calls", ({ run }) => run?.receiver.calls],
  ["sends", ({ run }) => run?.zerocopy.sends],
  ["completions", ({ run }) => run?.zerocopy.completions],
  ["copied", ({ run }) => run?.zerocopy.copied],
  ["unknown", ({ run }) => run?.zerocopy.unknown],
  ["notifications", ({ run }) => run?.zerocopy.notifications],
  ["retries", ({ run }) => run?.zerocopy.retries],
  ["received_uncopied_bytes", ({ run }) => run?.zerocopy.received],
  ["retransmits", ({ run }) => run?.retransmits],
  ["requests", ({ run }) => run?.latency?.requests],
  ["answered", ({ run }) => run?.latency?.answered],
  ["p50_ns", ({ run }) => run?.latency?.p50],
  ["p90_ns", ({ run }) => run?.latency?.p90],
  ["p99_ns", ({ run }) => run?.latency?.p99],
  ["p999_ns", ({ run }) => run?.latency?.p999],
  ["max_ns", ({ run }) => run?.latency?.max],
  ["lost_share", ({ run }) => run?.lostShare],
  ["error", ({ error }) => error],
];

function rowsOf(cell: MeasuredCell): Row[] {
  const rows: Row[] = cell.runs.map((run, index) => ({ cell, run, round: index + 1 }));
  if (rows.length > 0 && cell.error === undefined) return rows;
  return [...rows, { cell, error: cell.error && reasonOf(cell.error) }];
}

function toRecord(fields: readonly Field[]): string {
  return `${fields.map(quote).join(",")}\r\n`;
}

function quote(field: Field): string {
  const text = String(field ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
