/** All rounds of all cells, interleaved. */
import { ZcError } from "../errors.ts";
import type { BenchOptions } from "./bench.ts";
import { EndLost } from "./end-handle.ts";
import { type MatrixCell, matrixOf, orderOfRound } from "./matrix.ts";
import { type Buffers, type Cell, type MeasuredCell, type Run, summarizeRuns } from "./result.ts";
import type { Rig, RunOptions } from "./rig.ts";
import { sumOf } from "./streams.ts";

/** What all runs together may take, where nothing says how long each is. */
const budgetMs = 40_000;
const timeMsMax = 1000;
/** A first run of each cell, which does not count: memory is filled, caches are warm. */
const warmUpMs = 100;

/** A second; what a slow machine can do without a queue. */
const requestsMax = 1000;
const requestsMin = 20;
const requestBytesMax = 64 << 20;

interface CellState {
  readonly cell: MatrixCell;
  readonly runs: Run[];
  buffers?: Buffers;
  error?: ZcError;
}

/** A cell that fails is out; the others go on. */
export class Rounds {
  readonly #rig: Rig;
  readonly #options: BenchOptions;
  readonly #states: readonly CellState[];
  #done = 0;
  #timeMs = timeMsMax;

  constructor(rig: Rig, options: BenchOptions) {
    this.#rig = rig;
    this.#options = options;
    const isLatency = options.requestsPerSecond !== undefined;
    this.#states = matrixOf({ ...options, transports: rig.transports, isLatency }).map((cell) => ({
      cell,
      runs: [],
    }));
  }

  /** Of each run, where its bytes are not given. */
  get timeMs(): number {
    return this.#timeMs;
  }

  /** Resolves with why it did not come to its end, or undefined. Throws what is nobody's fault. */
  async run(): Promise<"interrupted" | EndLost | undefined> {
    const { repeat, bytes, signal } = this.#options;
    try {
      const durationMs = Math.max(warmUpMs, this.#rig.timeMsMin);
      for (const state of this.#states) await this.#measure(state, { durationMs });
      this.#timeMs = this.#options.timeMs ?? this.#affordableMs();
      const amount = bytes === undefined ? { durationMs: this.#timeMs } : { bytes };
      for (let round = 0; round < repeat; round++) {
        for (const state of orderOfRound(this.#running(), round))
          await this.#measure(state, amount, state.runs);
      }
      return undefined;
    } catch (error) {
      if (signal?.aborted) return "interrupted";
      if (error instanceof EndLost && this.#hasRuns()) return error;
      throw error;
    }
  }

  /** As far as it has come. */
  cells(): MeasuredCell[] {
    return this.#states.map(({ cell, runs, buffers, error }) => ({
      ...cell,
      runs,
      ...(buffers !== undefined && { buffers }),
      ...(runs.length > 0 && { summary: summarizeRuns(runs) }),
      ...(error !== undefined && { error: error.toJSON() }),
    }));
  }

  #hasRuns(): boolean {
    return this.#states.some(({ runs }) => runs.length > 0);
  }

  #running(): CellState[] {
    return this.#states.filter(({ error }) => error === undefined);
  }

  #affordableMs(): number {
    const runs = this.#running().length * this.#options.repeat;
    const affordable = Math.min(budgetMs / Math.max(runs, 1), timeMsMax);
    return Math.round(Math.max(affordable, this.#rig.timeMsMin));
  }

  #requestsPerSecond({ size }: Cell): number | undefined {
    const { requestsPerSecond } = this.#options;
    if (requestsPerSecond !== "adapted") return requestsPerSecond;
    return Math.max(Math.min(requestsMax, requestBytesMax / size), requestsMin);
  }

  async #measure(
    state: CellState,
    amount: Pick<RunOptions, "bytes" | "durationMs">,
    runs?: Run[],
  ): Promise<void> {
    const { streams, mss, sndbuf, rcvbuf, repeat, signal, onProgress } = this.#options;
    const { cell } = state;
    const requestsPerSecond = this.#requestsPerSecond(cell);
    let bytesPerSecond: number | undefined;
    try {
      const { run, buffers } = await this.#rig.run(cell, {
        ...{ streams, mss, sndbuf, rcvbuf, requestsPerSecond },
        ...amount,
      });
      runs?.push(run);
      state.buffers = buffers;
      bytesPerSecond = run.bytesPerSecond;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof ZcError) || error instanceof EndLost) throw error;
      state.error = error;
    }
    this.#done++;
    const left = sumOf(this.#running(), (running) => repeat - running.runs.length);
    const total = Math.max(this.#states.length, this.#done) + left;
    onProgress?.({ done: this.#done, total, cell, bytesPerSecond });
  }
}
