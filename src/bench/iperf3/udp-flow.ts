/** Datagrams of a test: numbered ones that are sent, or received and counted. */
import { ptr } from "bun:ffi";
import { type Job, startJob } from "../../../ffi/job.ts";
import { library } from "../../../ffi/library.ts";
import {
  arrivalsOptionsStruct,
  arrivalsStruct,
  datagramsFlag,
  datagramsStruct,
} from "../../../ffi/structs.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { sendError } from "../../endpoint/send-error.ts";
import { ZcError } from "../../errors.ts";
import { finished, started } from "../../run-job.ts";
import type { SourceMemory } from "../../transfer/memory.ts";
import { nameOf } from "../streams.ts";
import type { Datagrams, Flow, FlowCounters, StartFlow } from "./flow.ts";

export interface DatagramSendOptions {
  /** Bytes of each. */
  readonly size: number;
  readonly isWide: boolean;
  readonly memory: SourceMemory | undefined;
  /** How many, or how long; neither: until it is stopped. */
  readonly count?: number | undefined;
  readonly durationMs?: number | undefined;
  /** Bytes a second. */
  readonly rate?: number | undefined;
  /** Sent before the rate is looked at again. */
  readonly burst?: number | undefined;
}

export function datagramSender(connection: Connection, options: DatagramSendOptions): StartFlow {
  const { size, isWide, memory, count, durationMs, rate, burst } = options;
  const settings = {
    ...{ size, fd: connection.fd, rate: rate ?? 0, burst: burst || 1 },
    memory: memory?.handle ?? 0,
    limit: count ?? -1,
    duration: Math.round((durationMs ?? 0) * 1e6),
    flags: isWide ? datagramsFlag.wide : 0,
  };
  return (signal) => {
    const start = () => startJob(library().zc_datagrams_start, datagramsStruct, settings);
    return new JobFlow(connection, true, start, signal, ({ bytes }) => {
      return { packets: bytes / size, errors: 0, jitter: 0 };
    });
  };
}

export interface DatagramReceiveOptions {
  /** Bytes that are looked at of each. */
  readonly size: number;
  readonly isWide: boolean;
  /** Of each only the header is copied out of the kernel. */
  readonly headersOnly: boolean;
}

/** Until it is stopped: datagrams have no end. */
export function datagramReceiver(
  connection: Connection,
  { size, isWide, headersOnly }: DatagramReceiveOptions,
): StartFlow {
  // C writes to it as long as the job runs; as a view of a buffer it stays where it is.
  const counts = new Uint8Array(arrivalsStruct.allocate().buffer);
  const settings = {
    ...{ size, fd: connection.fd, arrivals: Number(ptr(counts)) },
    flags: (isWide ? datagramsFlag.wide : 0) | (headersOnly ? datagramsFlag.headers : 0),
  };
  return (signal) => {
    const start = () => startJob(library().zc_arrivals_start, arrivalsOptionsStruct, settings);
    return new JobFlow(connection, false, start, signal, () => {
      const { highest, lost, jitter_ns } = arrivalsStruct.unpack(counts);
      return { packets: highest, errors: lost, jitter: jitter_ns / 1e9 };
    });
  };
}

class JobFlow implements Flow {
  readonly connection: Connection;
  readonly sends: boolean;
  readonly ended: Promise<unknown>;
  readonly #datagrams: (counters: FlowCounters) => Datagrams;
  #job: Job | undefined;

  constructor(
    connection: Connection,
    sends: boolean,
    start: () => Job | number,
    signal: AbortSignal,
    datagrams: (counters: FlowCounters) => Datagrams,
  ) {
    this.connection = connection;
    this.sends = sends;
    this.#datagrams = datagrams;
    this.ended = this.#run(start, signal);
  }

  get counters(): FlowCounters {
    return this.#job?.stats ?? nothing;
  }

  get datagrams(): Datagrams {
    return this.#datagrams(this.counters);
  }

  restart(): void {
    const { handle } = this.#job ?? { handle: 0 };
    if (!this.sends && handle !== 0) library().zc_arrivals_restart(handle);
  }

  async #run(start: () => Job | number, signal: AbortSignal): Promise<void> {
    this.#job = started(start(), "start with datagrams");
    const { error } = await finished(this.#job, signal);
    if (error !== 0) throw this.#failure(error);
  }

  #failure(errno: number): ZcError {
    const subject = nameOf(this.connection);
    if (this.sends) return sendError(subject, errno);
    return new ZcError({ code: "PEER_RESET", operation: "receive from", subject, errno });
  }
}

/** What a job that could not start has moved. */
const nothing = {
  ...{ bytes: 0, calls: 0, sends: 0, completions: 0 },
  ...{ copied: 0, unknown: 0, notifications: 0, retries: 0 },
};
