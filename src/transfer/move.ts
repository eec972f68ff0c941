/** Runs a plan: one job after another until the bytes have moved, watched from here. */
import { constants } from "node:os";
import { type Job, type JobStats, type OnNews, startJob } from "../../ffi/job.ts";
import { library } from "../../ffi/library.ts";
import { jobEnd, jobSide, moveFlag, mover, moveStruct } from "../../ffi/structs.ts";
import { sendError } from "../endpoint/send-error.ts";
import { errnoName, ZcError } from "../errors.ts";
import { eitherSignal, finished, pollNothing, started, startWait } from "../run-job.ts";
import type { Digest } from "./digest.ts";
import { watchIdle } from "./idle.ts";
import type { SourceMemory } from "./memory.ts";
import type { Mode, Step } from "./plan.ts";

export interface MoveOptions {
  readonly source: MoveEnd;
  readonly sink: MoveEnd;
  /** Sent over and over, instead of the source. */
  readonly memory?: SourceMemory | undefined;
  readonly plan: readonly Step[];
  /** Bytes; undefined: to the end of the source. */
  readonly limit?: number | undefined;
  /** How long it goes on; undefined: until the limit, or the source's end. */
  readonly durationMs?: number | undefined;
  /** When each window of the memory is due, whether or not the ones before it are through. */
  readonly pace?: Pace | undefined;
  /** A byte is written to `fd` for each `request` bytes that the sink took. */
  readonly answer?: { readonly fd: number; readonly request: number } | undefined;
  /** Bytes a second. */
  readonly rate?: number | undefined;
  readonly chunk?: number | undefined;
  readonly depth?: number | undefined;
  readonly digest?: Digest | undefined;
  readonly sparse?: boolean | undefined;
  /** The source can make us wait: the sink, a socket, is watched for a reset meanwhile. */
  readonly watchSink?: boolean | undefined;
  /** Give up when nothing has moved for this long. */
  readonly idleMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the user can do about a mode that these two ends refuse. */
  readonly refusalHint?: string | undefined;
  /** msg-zerocopy: told of what the sink's error queue says. */
  readonly onNews?: OnNews | undefined;
}

export interface Pace {
  /** CLOCK_MONOTONIC. */
  readonly startNs: number;
  readonly intervalNs: number;
}

export interface MoveEnd {
  readonly fd: number;
  /** For messages: a file, or the peer's address. */
  readonly name: string;
  readonly isSocket: boolean;
}

export interface MoveResult {
  readonly end: "eof" | "limit";
  readonly counters: MoveCounters;
  /** CLOCK_MONOTONIC, of the job that moved the last byte; from a socket: of its first bytes. */
  readonly beganNs: number;
  /** Likewise of its last, which its end can follow much later. */
  readonly endedNs: number;
  /** The mode that moved the last byte, and its chunk. */
  readonly mode: Mode;
  readonly chunk: number;
  /** What was chosen, and why: a line each. */
  readonly reasons: readonly string[];
}

/** Sums over all jobs of a move. */
export type MoveCounters = Pick<JobStats, (typeof counterNames)[number]>;

const counterNames = [
  ...(["bytes", "calls", "sends", "completions", "copied", "notifications"] as const),
  ...(["unknown", "joined", "unordered", "retries", "fallbacks", "discarded", "holes"] as const),
  ...(["uncopied"] as const),
] as const;

/** Modes whose movers wait for the sink, too, while they wait for the source. */
const hearsItsSink: ReadonlySet<Mode> = new Set<Mode>(["msg-zerocopy", "io-uring"]);

export const depthDefault = 16;
const { EINVAL, ENOSYS, EPERM, EOPNOTSUPP, ENODATA, ETIMEDOUT } = constants.errno;
/** A kernel or a sandbox that does not let this mover join these two ends. */
export const refusals: ReadonlySet<number> = new Set<number>([EINVAL, ENOSYS, EPERM, EOPNOTSUPP]);

/** A move that is under way. */
export class Move {
  readonly #options: MoveOptions;
  #past: MoveCounters = zeroCounters;
  #job: Job | undefined;

  constructor(options: MoveOptions) {
    this.#options = options;
  }

  /** The counters now: readable while it runs. */
  get counters(): MoveCounters {
    return this.#job === undefined ? this.#past : add(this.#past, this.#job.stats);
  }

  /** Throws READ_SOURCE, WRITE_SINK, PEER_RESET, TIMEOUT, or UNSUPPORTED for a mode not to be had. */
  async run(): Promise<MoveResult> {
    const { plan } = this.#options;
    const reasons: string[] = [];
    for (const [index, step] of plan.entries()) {
      reasons.push(`${step.mode}: ${step.why}`);
      const stats = await this.#runStep(step);
      if (stats.error === 0) {
        const end = stats.end === jobEnd.limit ? "limit" : "eof";
        return {
          end,
          counters: this.#past,
          beganNs: stats.first_ns || stats.began_ns,
          endedNs: stats.last_ns || stats.ended_ns,
          mode: step.mode,
          chunk: this.#chunk(step),
          reasons,
        };
      }
      const refused = stats.bytes === 0 && refusals.has(stats.error);
      if (!refused) throw failure(this.#options, stats);
      if (index === plan.length - 1) throw this.#refusal(step, stats);
      reasons.push(`${step.mode}: refused, ${errnoName(stats.error)}`);
    }
    throw new ZcError({
      code: "UNSUPPORTED",
      operation: "move",
      reason: "no mode is left",
    });
  }

  async #runStep(step: Step): Promise<JobStats> {
    const { idleMs, signal } = this.#options;
    const stop = new AbortController();
    const job = started(this.#start(step), "start a transfer");
    this.#job = job;
    const activity = () => job.stats.bytes + job.stats.completions + job.stats.discarded;
    using _idle = watchIdle({ activity, idleMs, peer: this.#peer, stop });
    const watcher = this.#watchSink(step, stop);
    try {
      return await finished(job, eitherSignal(stop.signal, signal));
    } finally {
      this.#past = this.counters;
      this.#job = undefined;
      watcher?.cancel();
      await watcher?.ended;
    }
  }

  #start(step: Step): Job | number {
    const { source, sink, memory, limit, durationMs, pace, answer } = this.#options;
    const { rate, depth, digest, sparse, onNews } = this.#options;
    let flags = 0;
    if (step.required) flags |= moveFlag.required;
    if (step.adapt && this.#options.chunk === undefined) flags |= moveFlag.adapt;
    if (sparse && step.mode === "copy") flags |= moveFlag.sparse;
    if (onNews !== undefined) flags |= moveFlag.notices;
    const settings = {
      source: source.fd,
      sink: sink.fd,
      mover: mover[step.mover],
      flags,
      chunk: this.#chunk(step),
      depth: depth ?? depthDefault,
      pipe_size: step.pipeSize,
      memory: memory?.handle ?? 0,
      limit: limit === undefined ? -1 : limit - this.#past.bytes,
      duration: Math.round((durationMs ?? 0) * 1e6),
      interval: pace?.intervalNs ?? 0,
      start_ns: pace?.startNs ?? 0,
      request: answer?.request ?? 0,
      answer: answer?.fd ?? -1,
      rate: rate ?? 0,
      digest: digest?.handle ?? 0,
    };
    return startJob(library().zc_move_start, moveStruct, settings, onNews);
  }

  get #peer(): string {
    const { source, sink } = this.#options;
    return sink.isSocket ? sink.name : source.name;
  }

  #chunk(step: Step): number {
    return Math.min(this.#options.chunk ?? step.chunk, step.chunkMax);
  }

  /**
   * While a mover waits for its source it does not hear the sink: a poll of its own notices a
   * reset. A peer that has closed, or a pipe's reader that has gone, is no error yet: nothing more
   * may come.
   */
  #watchSink(step: Step, stop: AbortController): Job | undefined {
    const { sink, watchSink } = this.#options;
    if (!watchSink || hearsItsSink.has(step.mode)) return undefined;
    const watcher = startWait(sink.fd, pollNothing);
    void watcher.ended.then(({ end }) => {
      const errno = end === jobEnd.ready ? -library().zc_socket_error(sink.fd) : 0;
      if (errno !== 0) stop.abort(sinkError(this.#options, errno));
    });
    return watcher;
  }

  #refusal(step: Step, stats: JobStats): ZcError {
    const { source, sink } = this.#options;
    return new ZcError({
      code: "UNSUPPORTED",
      operation: "move by",
      subject: `${step.mode}: ${source.name} to ${sink.name}`,
      errno: stats.error,
      hint: this.#options.refusalHint,
    });
  }
}

function failure(options: MoveOptions, { side, error }: JobStats): ZcError {
  return side === jobSide.sink ? sinkError(options, error) : sourceError(options, error);
}

/** A file whose end moved while it was sent: what arrived is no state that it ever had. */
export function becameShorter(name: string, reason: string): ZcError {
  const hint = "something changed it while it was sent";
  return new ZcError({
    code: "TRUNCATED",
    operation: "read",
    subject: name,
    reason,
    hint,
  });
}

function sourceError({ source }: MoveOptions, errno: number): ZcError {
  if (errno === ENODATA) return becameShorter(source.name, "it became shorter than it was");
  if (!source.isSocket) {
    return new ZcError({
      code: "READ_SOURCE",
      operation: "read",
      subject: source.name,
      errno,
    });
  }
  const code = errno === ETIMEDOUT ? "TIMEOUT" : "PEER_RESET";
  return new ZcError({
    code,
    operation: "receive from",
    subject: source.name,
    errno,
  });
}

function sinkError({ sink }: MoveOptions, errno: number): ZcError {
  if (!sink.isSocket) {
    return new ZcError({
      code: "WRITE_SINK",
      operation: "write",
      subject: sink.name,
      errno,
    });
  }
  return sendError(sink.name, errno);
}

const zeroCounters = Object.fromEntries(counterNames.map((name) => [name, 0])) as MoveCounters;

function add(sum: MoveCounters, stats: MoveCounters): MoveCounters {
  const added = counterNames.map((name) => [name, sum[name] + stats[name]]);
  return Object.fromEntries(added) as MoveCounters;
}
