/** What carries out the runs of a benchmark. */
import type { Buffers, Cell, Machine, Run } from "./result.ts";

export interface Rig extends AsyncDisposable {
  readonly machine: Machine;
  /** The receiver's, where that is another one. */
  readonly peer?: Machine | undefined;
  /** Memory that is sent from; bytes. */
  readonly sourceBytes: number;
  readonly transports: readonly string[];
  /** No run can be shorter. */
  readonly timeMsMin: number;
  /** Throws ZcError where the cell cannot run, EndLost where nothing more can. */
  run(cell: Cell, options: RunOptions): Promise<Outcome>;
}

export interface RunOptions {
  readonly streams: number;
  /** How much, or how long. */
  readonly bytes?: number | undefined;
  readonly durationMs?: number | undefined;
  /** TCP's maximum segment size; bytes. */
  readonly mss?: number | undefined;
  /** Socket buffers; bytes. */
  readonly sndbuf?: number | undefined;
  readonly rcvbuf?: number | undefined;
  /** Measure how long so many requests a second take to be answered, not how many there can be. */
  readonly requestsPerSecond?: number | undefined;
}

export interface Outcome {
  readonly run: Run;
  readonly buffers: Buffers;
}
