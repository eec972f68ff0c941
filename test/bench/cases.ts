/** What is measured, and which goals it has. */
import type { Place } from "./contenders.ts";

export interface Goal {
  readonly against: string;
  /** Of throughputs: at least; of CPU seconds: at most. */
  readonly measure: "throughput" | "cpu";
  readonly ratio: number;
}

export interface Case {
  readonly name: string;
  readonly transport: Place["transport"];
  readonly source: "file" | "pipe";
  readonly sink: "null" | "pipe" | "file";
  readonly goals: readonly Goal[];
}

/** The best of those that are no reference and not zc itself. */
export const bestOther = "the best of the others";

export const cases: readonly Case[] = [
  {
    name: "file-tcp-null",
    transport: "tcp",
    source: "file",
    sink: "null",
    goals: [
      { against: "reference", measure: "throughput", ratio: 0.95 },
      { against: "nc.openbsd", measure: "throughput", ratio: 2 },
      { against: "socat", measure: "throughput", ratio: 4 },
      { against: "nc.openbsd", measure: "cpu", ratio: 0.45 },
    ],
  },
  {
    name: "file-unix-null",
    transport: "unix",
    source: "file",
    sink: "null",
    goals: [
      { against: "reference", measure: "throughput", ratio: 0.95 },
      { against: "nc.openbsd", measure: "throughput", ratio: 4 },
    ],
  },
  {
    name: "pipe-tcp-pipe",
    transport: "tcp",
    source: "pipe",
    sink: "pipe",
    goals: [{ against: bestOther, measure: "throughput", ratio: 1.2 }],
  },
  {
    name: "file-tcp-file",
    transport: "tcp",
    source: "file",
    sink: "file",
    goals: [{ against: bestOther, measure: "throughput", ratio: 1 }],
  },
];
