/** A transport's cells as a table of texts. Pure. */
import { formatCount, formatShare, formatTime } from "../../units.ts";
import { type MeasuredCell, type Percentile, unanswered } from "../result.ts";
import { hasSeveralReceiveModes } from "./cells.ts";
import {
  formatBuffer,
  formatExactSize,
  formatFigure,
  formatSpread,
  optional,
  toGiB,
} from "./figures.ts";

export interface Table {
  readonly columns: readonly Pick<Column, "name" | "isNumber">[];
  readonly rows: readonly (readonly string[])[];
}

/** A row a cell that ran. Columns of which nothing is known are left out. */
export function tableOf(cells: readonly MeasuredCell[]): Table {
  const measured = cells.filter(({ summary }) => summary !== undefined);
  const shown = columns.filter(({ name, text }) => {
    if (name === "receive mode") return hasSeveralReceiveModes(cells);
    return measured.some((cell) => text(cell) !== undefined);
  });
  return {
    columns: shown,
    rows: measured.map((cell) => shown.map(({ text }) => text(cell) ?? "")),
  };
}

interface Column {
  readonly name: string;
  readonly isNumber: boolean;
  /** undefined where nothing is known. */
  text(cell: MeasuredCell): string | undefined;
}

const columns: readonly Column[] = [
  {
    name: "mode",
    isNumber: false,
    text: ({ mode, isBaseline }) => (isBaseline ? `${mode} (baseline)` : mode),
  },
  { name: "receive mode", isNumber: false, text: ({ receiveMode }) => receiveMode },
  { name: "size", isNumber: true, text: ({ size }) => formatExactSize(size) },
  ...[
    throughput("GiB/s, median (min to max)", ({ summary }) => {
      return summary && formatSpread(toGiB(summary.bytesPerSecond));
    }),
    throughput("CPU s/GiB, sender / receiver", cpuText),
    throughput("calls/GiB, sender / receiver", callsText),
  ],
  {
    name: "p50, median (min to max)",
    isNumber: true,
    text: ({ summary }) =>
      optional(summary?.latency?.p50, ({ median, min, max }) => {
        return `${formatTime(median)} (${formatTime(min)} to ${formatTime(max)})`;
      }),
  },
  percentile("p90", "p90"),
  percentile("p99", "p99"),
  percentile("p99.9", "p999"),
  percentile("max", "max"),
  { name: "unanswered", isNumber: true, text: unansweredText },
  {
    name: "copied",
    isNumber: true,
    text: ({ summary }) => optional(summary?.copiedShare, formatShare),
  },
  {
    name: "copied by the receiver",
    isNumber: true,
    text: ({ summary }) => optional(summary?.receiverCopiedShare, formatShare),
  },
  {
    name: "notifications a send",
    isNumber: true,
    text: ({ summary }) => optional(summary?.notificationsPerSend, formatFigure),
  },
  {
    name: "retransmits",
    isNumber: true,
    text: ({ summary }) => optional(summary?.retransmits, formatCount),
  },
  {
    name: "lost",
    isNumber: true,
    text: ({ summary }) => optional(summary?.lostShare, formatShare),
  },
  { name: "buffers, sender / receiver", isNumber: true, text: buffersText },
];

/** Of what flows as fast as it can: where requests are paced it says nothing. */
function throughput(name: string, text: Column["text"]): Column {
  const textOf: Column["text"] = (cell) => (cell.summary?.latency ? undefined : text(cell));
  return { name, isNumber: true, text: textOf };
}

/** Of each round; the median of the rounds. */
function percentile(name: string, which: Percentile): Column {
  const text: Column["text"] = ({ summary }) =>
    optional(summary?.latency?.[which], ({ median }) => formatTime(median));
  return { name, isNumber: true, text };
}

function unansweredText({ runs }: MeasuredCell): string | undefined {
  const missing = unanswered(runs);
  return missing > 0 ? formatCount(missing) : undefined;
}

function cpuText({ summary }: MeasuredCell): string | undefined {
  if (summary === undefined) return undefined;
  const { sender, receiver } = summary.cpu;
  const both = [sender, receiver].map(({ user, system }) => formatFigure(user + system));
  return both.join(" / ");
}

function callsText({ summary }: MeasuredCell): string | undefined {
  if (summary === undefined) return undefined;
  const { sender, receiver } = summary.calls;
  return [sender, receiver].map((calls) => formatCount(Math.round(calls))).join(" / ");
}

function buffersText({ buffers }: MeasuredCell): string | undefined {
  return buffers && `${formatBuffer(buffers.sender)} / ${formatBuffer(buffers.receiver)}`;
}
