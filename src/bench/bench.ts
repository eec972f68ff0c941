/** Measures a matrix of transport × mode × size, round by round. */
import manifest from "../../package.json";
import type { Address } from "../address/index.ts";
import { ZcError } from "../errors.ts";
import type { ReceiveMode, SendMode } from "../transfer/plan.ts";
import { openIperf3Rig } from "./iperf3/rig.ts";
import { openOwnRig } from "./own-rig.ts";
import type { BenchResult, Cell } from "./result.ts";
import { Rounds } from "./rounds.ts";

export interface BenchOptions {
  /** Of a `zc bench serve`, which then receives; undefined: both ends are here. */
  readonly address?: Address | undefined;
  /** The address is an iperf3 server's, which with `reverse` sends. */
  readonly iperf3?: Iperf3Options | undefined;
  /** Where both ends are here. */
  readonly transports: readonly string[];
  readonly modes: readonly SendMode[];
  readonly receiveModes: readonly ReceiveMode[];
  /** Bytes a call of the sender. */
  readonly sizes: readonly number[];
  /** Of each run: bytes, or milliseconds; neither: up to a second, so that all takes about a minute. */
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
  /** TCP's maximum segment size, at both ends where they are here, else at ours; bytes. */
  readonly mss?: number | undefined;
  readonly sndbuf?: number | undefined;
  readonly rcvbuf?: number | undefined;
  /** Measure latency, at so many requests a second; "adapted": 1000, or fewer of large ones. */
  readonly requestsPerSecond?: number | "adapted" | undefined;
  /** Keep trying to connect for so long. */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

export interface Iperf3Options {
  readonly reverse: boolean;
}

export interface BenchProgress {
  /** Runs that are over, and all that there will be; the warm-up's too. */
  readonly done: number;
  readonly total: number;
  readonly cell: Cell;
  /** undefined: it could not run. */
  readonly bytesPerSecond?: number | undefined;
}

/**
 * Resolves with what was measured, also when the signal aborts or an end is lost on the way;
 * `isComplete` tells. Throws ZcError where nothing could be measured.
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { iperf3 } = options;
  await using rig = await (iperf3 ? openIperf3Rig(options) : openOwnRig(options));
  const { peer, machine, sourceBytes } = rig;
  const rounds = new Rounds(rig, options);
  const broken = await rounds.run();
  const { repeat, bytes, streams, touch, misalign, hugePages, requestsPerSecond, cpu, mss } =
    options;
  const amount = bytes === undefined ? { seconds: rounds.timeMs / 1e3 } : { bytes };
  return {
    version: manifest.version,
    date: new Date().toISOString(),
    machine,
    ...(peer !== undefined && { peer }),
    settings: {
      ...{ sourceBytes, repeat, ...amount, streams, touch, misalign, hugePages },
      ...(requestsPerSecond !== undefined && { requestsPerSecond }),
      ...(cpu !== undefined && { cpu }),
      ...(mss !== undefined && { mss }),
      ...(iperf3 !== undefined && { iperf3 }),
    },
    cells: rounds.cells(),
    isComplete: broken === undefined,
    ...(broken instanceof ZcError && { error: broken.toJSON() }),
  };
}
