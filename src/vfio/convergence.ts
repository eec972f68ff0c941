/** Whether a device in PRE_COPY is worth stopping. Pure: what was seen comes in, a verdict comes out. */
import type { PrecopyInfo } from "./device.ts";

/**
 * "converged": the rest takes no longer than it may. "stalled": it does not become less. "deadline":
 * there is no more time. "untold": the device does not say what is left, and always has more.
 */
export type Verdict = "go on" | "converged" | "stalled" | "deadline" | "untold";

export interface Sample {
  /** Since the start. */
  readonly atMs: number;
  /** Moved so far. */
  readonly bytes: number;
  /** Bytes a second, while bytes moved; undefined: too few did. */
  readonly rate: number | undefined;
  readonly left: PrecopyInfo | undefined;
  /** The device had nothing more for now. */
  readonly isPaused: boolean;
}

export interface ConvergenceLimits {
  readonly downtimeMs: number;
  readonly deadlineMs?: number | undefined;
}

/** Rounds in a row after each of which there is not less left than before it. */
const roundsMax = 3;
/** Bytes that are little at any rate. */
const unmeasuredMax = 1 << 16;
/** How long a device that owes initial bytes may give none. */
const initialPatienceMs = 10_000;
/** How long a device that does not say what is left may always have more, where there is no deadline. */
const endlessMsMax = 60_000;

/** A round is over when as much was moved as was left at its begin, or the device paused. */
interface Round {
  readonly bytes: number;
  readonly left: number;
}

/**
 * Of a device that does not say what is left: a round is over when it pauses. What it gave then had
 * changed during the round before, and tells what has changed since.
 */
interface UntoldRound {
  readonly atMs: number;
  readonly bytes: number;
  /** That a round has given. */
  readonly least: number;
}

export class Convergence {
  readonly #limits: ConvergenceLimits;
  #round: Round | undefined;
  #untoldRound: UntoldRound = { atMs: 0, bytes: 0, least: Number.POSITIVE_INFINITY };
  #useless = 0;
  /** Of the last byte. */
  #moved = { atMs: 0, bytes: 0 };

  constructor(limits: ConvergenceLimits) {
    this.#limits = limits;
  }

  /** To be told in the order of time. */
  take(sample: Sample): Verdict {
    const { atMs, bytes, left } = sample;
    const { deadlineMs = Number.POSITIVE_INFINITY } = this.#limits;
    if (bytes > this.#moved.bytes) this.#moved = { atMs, bytes };
    const verdict = left === undefined ? this.#judgeUntold(sample) : this.#judge(left, sample);
    return atMs >= deadlineMs && verdict !== "converged" ? "deadline" : verdict;
  }

  #judge(left: PrecopyInfo, sample: Sample): Verdict {
    if (this.#isSmall(left, sample.rate)) return "converged";
    return this.#isStalled(left, sample) ? "stalled" : "go on";
  }

  #judgeUntold({ atMs, bytes, rate, isPaused }: Sample): Verdict {
    const round = this.#untoldRound;
    if (!isPaused) {
      const isEndless = this.#limits.deadlineMs === undefined && atMs - round.atMs >= endlessMsMax;
      return isEndless ? "untold" : "go on";
    }
    const given = bytes - round.bytes;
    this.#useless = given >= round.least ? this.#useless + 1 : 0;
    this.#untoldRound = { atMs, bytes, least: Math.min(round.least, given) };
    if (this.#isSmall({ initialBytes: 0, dirtyBytes: given }, rate)) return "converged";
    return this.#useless >= roundsMax ? "stalled" : "go on";
  }

  /** Initial bytes are what makes the rest quick: none of them may be left. */
  #isSmall({ initialBytes, dirtyBytes }: PrecopyInfo, rate: number | undefined): boolean {
    if (initialBytes > 0) return false;
    if (rate === undefined) return dirtyBytes <= unmeasuredMax;
    return (dirtyBytes * 1000) / rate <= this.#limits.downtimeMs;
  }

  #isStalled({ initialBytes, dirtyBytes }: PrecopyInfo, { atMs, bytes, isPaused }: Sample) {
    const left = initialBytes + dirtyBytes;
    const round = this.#round;
    if (round === undefined || isPaused || bytes - round.bytes >= round.left) {
      const isUseless = round !== undefined && left >= round.left;
      this.#useless = isUseless ? this.#useless + 1 : 0;
      this.#round = { bytes, left };
    }
    if (initialBytes > 0) return atMs - this.#moved.atMs >= initialPatienceMs;
    return this.#useless >= roundsMax;
  }
}
