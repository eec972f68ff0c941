/** What this side of a test counts, and how it tells it to the other. */
import { getText, level, option } from "../../endpoint/socket.ts";
import { startClock } from "../../transfer/summary.ts";
import { type Datagrams, type FlowCounters, type Flows, flowId } from "./flow.ts";
import type { StreamResults, TestResults } from "./results.ts";

export interface Counted {
  readonly seconds: number;
  /** Seconds of this process. */
  readonly cpu: { readonly user: number; readonly system: number };
  readonly streams: readonly CountedStream[];
  /** TCP_CONGESTION */
  readonly congestion: string | undefined;
}

export interface CountedStream {
  readonly id: number;
  readonly sends: boolean;
  /** Since what was omitted. */
  readonly bytes: number;
  readonly retransmits: number | undefined;
  /** Since the start. */
  readonly counters: FlowCounters;
  readonly datagrams: Datagrams | undefined;
  /** Of them, what was omitted. */
  readonly omitted: Pick<Datagrams, "packets" | "errors">;
}

export class Tally {
  readonly #flows: Flows;
  #clock = startClock();
  #omitted: readonly CountedStream[] = [];

  /** Of streams that start now. */
  constructor(flows: Flows) {
    this.#flows = flows;
  }

  /** Counts from now on: what was before is omitted. */
  restart(): void {
    this.#omitted = this.#count([]);
    this.#clock = startClock();
    for (const flow of this.#flows.all) flow.restart?.();
  }

  take(): Counted {
    const { seconds, cpu } = this.#clock();
    const [first] = this.#flows.all;
    const congestion = first && getText(first.connection.fd, level.tcp, option.tcpCongestion);
    return { seconds, cpu, streams: this.#count(this.#omitted), congestion };
  }

  #count(omitted: readonly CountedStream[]): CountedStream[] {
    const retransmits = this.#flows.retransmits();
    return this.#flows.all.map(({ sends, counters, datagrams }, index) => {
      const before = omitted[index];
      const since = retransmits[index];
      return {
        ...{ id: flowId(index), sends, counters, datagrams },
        bytes: counters.bytes - (before?.counters.bytes ?? 0),
        retransmits: since === undefined ? undefined : since - (before?.retransmits ?? 0),
        omitted: before?.datagrams ?? { packets: 0, errors: 0 },
      };
    });
  }
}

/** `serverOutput`: what the client asked the server to add. */
export function toResults(
  { seconds, cpu, streams, congestion }: Counted,
  serverOutput?: string,
): TestResults {
  const percent = (used: number) => (seconds > 0 ? (100 * used) / seconds : 0);
  const senders = streams.filter((stream) => stream.sends);
  return {
    cpu: {
      total: percent(cpu.user + cpu.system),
      user: percent(cpu.user),
      system: percent(cpu.system),
    },
    hasRetransmits:
      senders.length === 0
        ? undefined
        : senders.some(({ retransmits }) => retransmits !== undefined),
    ...{ congestion, serverOutput },
    streams: streams.map((stream) => streamResults(stream, seconds)),
  };
}

function streamResults(stream: CountedStream, seconds: number): StreamResults {
  const { id, bytes, retransmits, omitted } = stream;
  const { packets, errors, jitter } = stream.datagrams ?? { packets: 0, errors: 0, jitter: 0 };
  return {
    ...{ id, bytes, retransmits, seconds, packets, errors, jitter },
    ...{ omittedPackets: omitted.packets, omittedErrors: omitted.errors },
  };
}
