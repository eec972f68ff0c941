/** What a device gives while it still runs, until stopping it is worth it. */
import { pause } from "../run-job.ts";
import type { MoveEnd } from "../transfer/move.ts";
import { Convergence, type Verdict } from "./convergence.ts";
import type { MigrationData, PrecopyInfo } from "./device.ts";

export interface PrecopyOptions {
  readonly sink: MoveEnd;
  /** How long the rest may take while the device stands still. */
  readonly downtimeMs: number;
  /** Since the start: then it stops whatever is left. undefined: never. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface PrecopyResult {
  readonly bytes: number;
  /** Bytes a second, while bytes moved; undefined: too few did. */
  readonly rate: number | undefined;
  /** Why it ended. */
  readonly verdict: Exclude<Verdict, "go on">;
  /** What was left then; undefined: the device does not tell. */
  readonly left: PrecopyInfo | undefined;
}

/** Bytes at a time: what so long takes at the rate so far, within these limits. */
const portionMs = 100;
const portionMin = 1 << 20;
const portionMax = 1 << 28;
/** Fewer bytes than this tell no rate. */
const measurableMin = 1 << 20;
/** Before a device that had nothing for now is asked again. */
const idlePauseMs = 20;

/**
 * Moves what a device in PRE_COPY (or PRE_COPY_P2P) has, and again what it changed, until it has
 * converged, until that gets it nowhere, or until the deadline. The data session is left as it is:
 * the rest comes out of it in STOP_COPY. Throws what the move does, and the signal's reason.
 */
export async function precopy(
  data: MigrationData,
  { sink, downtimeMs, deadlineMs, signal, onProgress }: PrecopyOptions,
): Promise<PrecopyResult> {
  const begin = performance.now();
  const convergence = new Convergence({ downtimeMs, deadlineMs });
  let bytes = 0;
  let movingMs = 0;
  let rate: number | undefined;
  for (;;) {
    const before = bytes;
    const started = performance.now();
    const moved = await data.moveTo(sink, {
      limit: portion(rate),
      signal,
      onProgress: (now) => onProgress?.(before + now),
    });
    bytes += moved.bytes;
    if (moved.bytes > 0) movingMs += performance.now() - started;
    const left = await data.precopyInfo(signal);
    rate = bytes < measurableMin ? undefined : (bytes * 1000) / movingMs;
    const atMs = performance.now() - begin;
    const verdict = convergence.take({ atMs, bytes, rate, left, isPaused: moved.end !== "limit" });
    if (verdict !== "go on") return { bytes, rate, verdict, left };
    if (moved.bytes === 0) await pause(idlePauseMs, signal);
  }
}

function portion(rate: number | undefined): number {
  const usual = Math.round(((rate ?? 0) * portionMs) / 1000);
  return Math.min(Math.max(usual, portionMin), portionMax);
}
