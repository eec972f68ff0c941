/** What a probe says. */
export const verdicts = ["works", "copies", "missing"] as const;

/** works; works, but the kernel copies; or is not to be had. */
export type Verdict = (typeof verdicts)[number];

/** The JSON of `zc doctor --json` is a list of these; its schema is finding.schema.ts. */
export interface Finding {
  /** Stable, for scripts: "msg-zerocopy tcp". */
  readonly feature: string;
  readonly verdict: Verdict;
  /** What was seen. */
  readonly detail: string;
  /** What would mend it, where that is known. */
  readonly mend?: string;
}

/** Tries a feature. Never throws for what a kernel may lack. */
export interface Probe {
  readonly feature: string;
  readonly run: (signal: AbortSignal) => Promise<Omit<Finding, "feature">>;
}
