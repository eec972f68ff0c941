/** zc doctor: what this machine can do, found out by trying it. */
import type { Finding, Probe } from "./finding.ts";
import { ioUringProbes } from "./io-uring.ts";
import { kernelProbes } from "./kernel.ts";
import { limitProbes } from "./limits.ts";
import { moverProbes } from "./movers.ts";
import { tcpZerocopyProbes } from "./tcp-zerocopy.ts";
import { vfioProbe } from "./vfio.ts";

export type { Finding, Verdict } from "./finding.ts";

/** Every probe, in the order in which they are shown. */
export const probes: readonly Probe[] = [
  ...moverProbes,
  ...tcpZerocopyProbes,
  ...ioUringProbes,
  ...kernelProbes,
  vfioProbe,
  ...limitProbes,
];

/** Runs the probes one after another. A probe that breaks says so, and the rest go on. */
export async function* diagnose(signal: AbortSignal): AsyncGenerator<Finding> {
  for (const { feature, run } of probes) {
    signal.throwIfAborted();
    yield { feature, ...(await run(signal).catch(broken(signal))) };
  }
}

function broken(signal: AbortSignal) {
  return (error: unknown): Omit<Finding, "feature"> => {
    signal.throwIfAborted();
    return {
      verdict: "missing",
      detail: error instanceof Error ? error.message : String(error),
    };
  };
}
