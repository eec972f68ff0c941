/** What became of one connection through a relay: the facts that people and scripts are told. */
import type { ZcError } from "../errors.ts";
import type { Flow, Flows } from "./flows.ts";

/** The JSON of `--json`; its schema is summary.schema.ts. */
export interface RelaySummary {
  /** Who connected to us, and to whom we connected. */
  readonly near: string;
  readonly far: string;
  readonly forth: Passed;
  readonly back: Passed;
  /** From the accepted connection to the end of both. */
  readonly seconds: number;
  readonly mode: "splice";
  /** vsock copies, within the kernel, what is spliced. */
  readonly copied: boolean;
  /** Why it ended before both sides had: both were reset. */
  readonly error?: ZcError;
}

type Passed = Pick<Flow, "bytes" | "calls">;

export interface RelayFacts {
  readonly near: string;
  readonly far: string;
  readonly flows: Flows;
  readonly seconds: number;
  readonly copied: boolean;
  readonly error?: ZcError | undefined;
}

export function summarize(facts: RelayFacts): RelaySummary {
  const { near, far, flows, seconds, copied, error } = facts;
  return {
    near,
    far,
    forth: { bytes: flows.forth.bytes, calls: flows.forth.calls },
    back: { bytes: flows.back.bytes, calls: flows.back.calls },
    seconds,
    mode: "splice",
    copied,
    ...(error !== undefined && { error }),
  };
}
