/** Measures a matrix of transport × mode × size, round by round, each end in a process of its own. */

import manifest from "../../package.json";
import type { Address } from "../address/index.ts";
import { ZcError } from "../errors.ts";
import type { Mode } from "../transfer/plan.ts";
import { EndHandle, EndLost } from "./end-handle.ts";
import { type MatrixCell, matrixOf, orderOfRound } from "./matrix.ts";
import {
  type BenchResult,
  type Buffers,
  type Cell,
  type MeasuredCell,
  type ReceiveMode,
  type Run,
  summarizeRuns,
} from "./result.ts";
import { type Ends, type RunOptions, runCell } from "./run.ts";

export interface BenchOptions {
  /** Of a `zc bench serve`, which then receives; undefined: both ends are here. */
  readonly address?: Address | undefined;
  /** Where both ends are here. */
  readonly transports: readonly string[];
  readonly modes: readonly Mode[];
  readonly receiveModes: readonly ReceiveMode[];
  /** Bytes a call of the sender. */
  readonly sizes: readonly number[];
  /** Of each run: bytes, or milliseconds; neither: so long that all takes less than a minute. */
  readonly bytes?: number | undefined;
  readonly timeMs?: number | undefined;
  readonly repeat: number;
  readonly streams: number;
  /** Memory to send from; undefined: four times the last-level cache. */
  readonly sourceBytes?: number | undefined;
  /** Write to the memory before each send. */
  readonly touch: boolean;
  /** Bytes, less than a page, by which each send's memory misses the begin of a page. */
  readonly misalign: number;
  readonly hugePages: boolean;
  /** Processors to bind the two ends to. */
  readonly cpu?: readonly [sender: number, receiver: number] | undefined;
  readonly sndbuf?: number | undefined;
  readonly rcvbuf?: number | undefined;
  /** Measure latency, at so many requests a second; "adapted": 1000, or fewer of large ones. */
  readonly requestsPerSecond?: number | "adapted" | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

export interface BenchProgress {
  /** Runs that are over, and all that there will be; the warm-up's too. */
  readonly done: number;
  readonly total: number;
  readonly cell: Cell;
  /** undefined: it could not run. */
  readonly bytesPerSecond?: number | undefined;
}

/** What all runs together may take, where nothing says how long each is. */
const budgetMs = 40_000;
const timeMsMin = 50;
const timeMsMax = 1000;
/** A first run of each cell, which does not count: memory is filled, caches are warm. */
const warmUpMs = 100;

/**
 * Resolves with what was measured, also when the signal aborts; `isComplete` tells. Throws ZcError
 * where no end could be had.
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { address, signal } = options;
  await using sender = await EndHandle.start(signal);
  await using receiver =
    address === undefined
      ? await EndHandle.start(signal)
      : await EndHandle.connect(linkAddress(address), signal);
  const { misalign, touch, hugePages, cpu, sourceBytes, requestsPerSecond } = options;
  const prepare = { do: "prepare", misalign, touch, hugePages, sourceBytes } as const;
  const here = await sender.ask({ ...prepare, processor: cpu?.[0] }, "prepare");
  const there = await receiver.ask({ ...prepare, processor: cpu?.[1] }, "prepare");

  const transports = address === undefined ? options.transports : [address.transport];
  const rounds = new Rounds({ sender, receiver, address }, options, transports);
  const isComplete = await rounds.run();
  return {
    version: manifest.version,
    date: new Date().toISOString(),
    machine: here.machine,
    ...(address !== undefined && { peer: there.machine }),
    settings: {
      sourceBytes: here.sourceBytes,
      repeat: options.repeat,
      ...(options.bytes !== undefined
        ? { bytes: options.bytes }
        : { seconds: rounds.timeMs / 1e3 }),
      ...{ streams: options.streams, touch, misalign, hugePages },
      ...(requestsPerSecond !== undefined && { requestsPerSecond }),
      ...(cpu !== undefined && { cpu }),
    },
    cells: rounds.cells(),
    isComplete,
  };
}

/** Datagrams are told of over TCP. */
function linkAddress(address: Address): Address {
  return address.transport === "udp" ? { ...address, transport: "tcp" } : address;
}

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

/** All rounds of all cells. A cell that fails is out; the others go on. */
class Rounds {
  readonly #ends: Ends;
  readonly #options: BenchOptions;
  readonly #states: readonly CellState[];
  #done = 0;
  /** Of each run, where its bytes are not given. */
  timeMs = timeMsMax;

  constructor(ends: Ends, options: BenchOptions, transports: readonly string[]) {
    this.#ends = ends;
    this.#options = options;
    this.#states = matrixOf({ ...options, transports }).map((cell) => ({ cell, runs: [] }));
  }

  /** False when it was interrupted. */
  async run(): Promise<boolean> {
    const { repeat, bytes, signal } = this.#options;
    try {
      for (const state of this.#states) await this.#measure(state, { durationMs: warmUpMs });
      this.timeMs = this.#options.timeMs ?? this.#affordableMs();
      const amount = bytes === undefined ? { durationMs: this.timeMs } : { bytes };
      for (let round = 0; round < repeat; round++) {
        for (const state of orderOfRound(this.#running(), round))
          await this.#measure(state, amount, state.runs);
      }
      return true;
    } catch (error) {
      if (!signal?.aborted) throw error;
      return false;
    }
  }

  cells(): MeasuredCell[] {
    return this.#states.map(({ cell, runs, buffers, error }) => ({
      ...cell,
      runs,
      ...(buffers !== undefined && { buffers }),
      ...(runs.length > 0 && { summary: summarizeRuns(runs) }),
      ...(error !== undefined && { error: error.toJSON() }),
    }));
  }

  #running(): CellState[] {
    return this.#states.filter(({ error }) => error === undefined);
  }

  #affordableMs(): number {
    const runs = this.#running().length * this.#options.repeat;
    return Math.round(Math.min(Math.max(budgetMs / Math.max(runs, 1), timeMsMin), timeMsMax));
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
    const { streams, sndbuf, rcvbuf, repeat, signal, onProgress } = this.#options;
    const { cell } = state;
    const requestsPerSecond = this.#requestsPerSecond(cell);
    let bytesPerSecond: number | undefined;
    try {
      const { run, buffers } = await runCell(this.#ends, cell, {
        ...{ streams, sndbuf, rcvbuf, requestsPerSecond },
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
    const left = this.#running().length * repeat;
    const total = this.#states.length + left;
    onProgress?.({ done: this.#done, total, cell, bytesPerSecond });
  }
}
