/** A benchmark's result, made up: several transports and ways, and much that did not work. */
import {
  type BenchResult,
  type Cell,
  type MeasuredCell,
  type Run,
  summarizeRuns,
} from "../../../../src/bench/result.ts";
import { ZcError } from "../../../../src/errors.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const sizes = [4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB];

export const verdicts = [
  "tcp: splice, received by splice, moves 2.10 (1.95 to 2.21) times as much as copies of 1 MiB.",
  "tcp: msg-zerocopy is slower than copies at every size: the kernel copied all of it.",
  "unix: splice pays from 64 KiB on.",
];

/** Runs which differ a little from each other, always in the same way. */
export function sampleResult(change: Partial<BenchResult> = {}): BenchResult {
  return {
    version: "0.1.0",
    date: "2026-11-21T10:42:54Z",
    machine: {
      kernel: "6.18.44",
      processor: "AMD EPYC 9V74",
      processors: 2,
      lastLevelCache: 320 * MiB,
      memory: 23.4 * GiB,
      congestion: "reno",
    },
    settings: {
      sourceBytes: 64 * MiB,
      repeat: 5,
      seconds: 1,
      streams: 1,
      touch: false,
      misalign: 0,
      hugePages: false,
    },
    cells: [...tcp(), ...unix(), ...vsock(), ...udp()],
    isComplete: true,
    ...change,
  };
}

/** A cell whose runs reach about that many GiB a second. */
export function sampleCell(
  cell: Pick<Cell, "transport" | "size"> & Partial<MeasuredCell>,
  { rate = 4, runs = 5, extra = {} }: { rate?: number; runs?: number; extra?: Partial<Run> } = {},
): MeasuredCell {
  const measured = Array.from({ length: runs }, (_, round) => ({
    ...sampleRun(rate * (1 + 0.12 * Math.sin(7 * round + cell.size)), cell.size),
    ...extra,
  }));
  const buffers = { sender: 2.5 * MiB, receiver: 6 * MiB };
  return {
    mode: "copy",
    receiveMode: "copy",
    isBaseline: false,
    ...(runs > 0 && { buffers, summary: summarizeRuns(measured) }),
    runs: measured,
    ...cell,
  };
}

function tcp(): MeasuredCell[] {
  const ways = [
    { mode: "copy", receiveMode: "copy", peak: 3.4, half: 24 * KiB },
    { mode: "copy", receiveMode: "splice", peak: 4.1, half: 30 * KiB },
    { mode: "sendfile", receiveMode: "copy", peak: 5.2, half: 40 * KiB },
    { mode: "sendfile", receiveMode: "splice", peak: 8.8, half: 90 * KiB },
    { mode: "msg-zerocopy", receiveMode: "copy", peak: 2.7, half: 160 * KiB },
  ] as const;
  return ways.flatMap(({ peak, half, ...way }) => {
    return sizes.map((size) => {
      const isBaseline = size === MiB && way.mode === "copy" && way.receiveMode === "copy";
      const cell = { transport: "tcp", size, isBaseline, ...way };
      const zerocopy = way.mode === "msg-zerocopy" ? sampleZerocopy(GiB / size) : undefined;
      const extra = { retransmits: 0, ...(zerocopy && { zerocopy }) };
      return sampleCell(cell, { rate: rateAt(size, peak, half), extra });
    });
  });
}

function unix(): MeasuredCell[] {
  const unsupported = new ZcError({
    code: "UNSUPPORTED",
    operation: "send",
    reason: "unix sockets know no MSG_ZEROCOPY",
    hint: "use splice",
  }).toJSON();
  const timeout = new ZcError({ code: "TIMEOUT", reason: "nothing arrived for 5 s" }).toJSON();
  return [
    ...sizes.map((size) => {
      const cell = { transport: "unix", size, isBaseline: size === MiB };
      return sampleCell(cell, { rate: rateAt(size, 4.6, 12 * KiB) });
    }),
    ...sizes.slice(2).map((size) => {
      const cell = { transport: "unix", mode: "splice", size, receiveMode: "copy" } as const;
      const stopped = size === 4 * MiB && { runs: 2, error: timeout };
      const rate = rateAt(size, 10.4, 110 * KiB);
      return stopped
        ? { ...sampleCell(cell, { rate, runs: stopped.runs }), error: stopped.error }
        : sampleCell(cell, { rate });
    }),
    sampleCell({ transport: "unix", mode: "sendfile", size: 64 * KiB }, { rate: 7.1 }),
    ...sizes.map((size) => {
      const cell = { transport: "unix", mode: "msg-zerocopy", size, error: unsupported } as const;
      return sampleCell(cell, { runs: 0 });
    }),
  ];
}

function vsock(): MeasuredCell[] {
  const error = new ZcError({
    code: "UNSUPPORTED",
    operation: "connect",
    subject: "vsock:local",
    errno: 19,
    hint: "modprobe vsock_loopback",
  }).toJSON();
  return (["copy", "msg-zerocopy"] as const).map((mode) =>
    sampleCell({ transport: "vsock", mode, size: MiB, error }, { runs: 0 }),
  );
}

function udp(): MeasuredCell[] {
  return [1472, 16 * KiB, 65507].map((size) => {
    const cell = { transport: "udp", size };
    return sampleCell(cell, { rate: rateAt(size, 1.4, 12 * KiB), extra: { lostShare: 0.003 } });
  });
}

function rateAt(size: number, peak: number, half: number): number {
  return (peak * size) / (size + half);
}

function sampleRun(rate: number, size: number): Run {
  const seconds = 1;
  const bytes = Math.round(rate * GiB * seconds);
  const calls = Math.ceil(bytes / size);
  return {
    bytes,
    seconds,
    bytesPerSecond: bytes / seconds,
    sender: { user: 0.04, system: 0.55, calls },
    receiver: { user: 0.03, system: 0.62, calls: 2 * calls },
    zerocopy: { sends: 0, completions: 0, copied: 0, unknown: 0, notifications: 0, retries: 0 },
  };
}

function sampleZerocopy(sends: number): Run["zerocopy"] {
  const notifications = Math.ceil(sends / 3);
  return { sends, completions: sends, copied: sends, unknown: 0, notifications, retries: 0 };
}
