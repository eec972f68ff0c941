/** What a transfer did, once it is over: the facts that people and scripts are told. */
import type { Connection } from "../endpoint/connection.ts";
import type { MoveCounters } from "./move.ts";
import type { Mode } from "./plan.ts";

/** The JSON of `--json`; its schema is summary.schema.ts. */
export interface Summary {
  readonly bytes: number;
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly mode: Mode;
  /** Bytes a call, at most. */
  readonly chunk: number;
  /** Seconds, of this process. */
  readonly cpu: { readonly user: number; readonly system: number };
  readonly zerocopy: {
    readonly sends: number;
    readonly completions: number;
    /** Of the completions; `unknown` were in joined ranges, which tell of their first id alone. */
    readonly copied: number;
    readonly unknown: number;
    readonly notifications: number;
    readonly retries: number;
    /** Sends made without it: too small, too little memory, or the kernel copies anyway. */
    readonly fallbacks: number;
    /** Bytes received that reached us without a copy. */
    readonly received: number;
  };
  readonly peer: string;
  readonly local: string;
  /** "xxh3:…" where it was asked for. */
  readonly checksum?: string;
  /**
   * send: the peer has `closed` after taking every byte, or `acknowledged` every byte and keeps its
   * side open. receive: the length is `verified` (--size, --expect), or `unverified`.
   */
  readonly end: "closed" | "acknowledged" | "verified" | "unverified";
  /** Bytes that came back from the receiver, thrown away. */
  readonly discarded: number;
  /** Bytes left as holes (--sparse). */
  readonly holes: number;
  /** Socket options that were asked for, as the kernel has them. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** Which modes were chosen, and why. */
  readonly reasons: readonly string[];
}

/** Starts measuring: wall time and this process's CPU time. */
export function startClock(): () => Pick<Summary, "seconds" | "cpu"> {
  const begin = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return {
      seconds: (performance.now() - begin) / 1e3,
      cpu: { user: user / 1e6, system: system / 1e6 },
    };
  };
}

export interface SummaryFacts {
  readonly clock: Pick<Summary, "seconds" | "cpu">;
  readonly counters: MoveCounters;
  readonly mode: Mode;
  readonly chunk: number;
  readonly reasons: readonly string[];
  readonly connection: Connection;
  readonly end: Summary["end"];
  readonly checksum?: string | undefined;
}

export function summarize(facts: SummaryFacts): Summary {
  const { clock, counters, connection, checksum } = facts;
  const { sends, completions, copied, unknown, notifications, retries, fallbacks } = counters;
  const { uncopied: received } = counters;
  return {
    bytes: counters.bytes,
    seconds: clock.seconds,
    bytesPerSecond: clock.seconds > 0 ? counters.bytes / clock.seconds : 0,
    mode: facts.mode,
    chunk: facts.chunk,
    cpu: clock.cpu,
    zerocopy: { sends, completions, copied, unknown, notifications, retries, fallbacks, received },
    peer: connection.peer,
    local: connection.local,
    ...(checksum !== undefined && { checksum }),
    end: facts.end,
    discarded: counters.discarded,
    holes: counters.holes,
    settings: connection.settings,
    reasons: facts.reasons,
  };
}
