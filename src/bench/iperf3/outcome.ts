/** What a test comes to, put together from what both sides counted. Pure. */

import { rateOf } from "../rate.ts";
import type { Run, SideRun } from "../result.ts";
import type { Outcome } from "../rig.ts";
import { sumOf } from "../streams.ts";
import type { Tested } from "./client.ts";
import type { FlowCounters } from "./flow.ts";
import type { TestResults } from "./results.ts";
import { type Counted, toResults } from "./tally.ts";

/** Bytes and seconds are the receiver's: ours with `reverse`. Throws TRUNCATED. */
export function outcomeOf({ ours, theirs, buffer }: Tested, reverse: boolean): Outcome {
  const theirSeconds = secondsOf(theirs) ?? ours.seconds;
  const seconds = reverse ? ours.seconds : theirSeconds;
  const bytes = bytesOf(reverse ? ours : theirs);
  const bytesPerSecond = rateOf(bytes, seconds);
  const here = { ...ours.cpu, calls: total(ours, "calls") };
  const there = sideThere(theirs, theirSeconds);
  const retransmits = retransmitsOf(reverse ? theirs : ours);
  const lostShare = lostShareOf(reverse ? toResults(ours) : theirs);
  return {
    run: {
      ...{ bytes, seconds, bytesPerSecond },
      ...(reverse ? { sender: there, receiver: here } : { sender: here, receiver: there }),
      zerocopy: zerocopyOf(ours),
      ...(retransmits !== undefined && { retransmits }),
      ...(lostShare !== undefined && { lostShare }),
    },
    buffers: reverse ? { sender: 0, receiver: buffer } : { sender: buffer, receiver: 0 },
  };
}

/** An iperf3 tells which share of the time it used, not how many calls it made. */
function sideThere({ cpu }: TestResults, seconds: number): SideRun {
  const [user = 0, system = 0] = [cpu.user, cpu.system].map((percent) => (percent / 100) * seconds);
  return { user, system, calls: 0 };
}

function zerocopyOf(ours: Counted): Run["zerocopy"] {
  return {
    sends: total(ours, "sends"),
    completions: total(ours, "completions"),
    copied: total(ours, "copied"),
    unknown: total(ours, "unknown"),
    notifications: total(ours, "notifications"),
    retries: total(ours, "retries"),
  };
}

function total({ streams }: Counted, name: keyof FlowCounters): number {
  return sumOf(streams, ({ counters }) => counters[name]);
}

interface Streams {
  readonly streams: readonly {
    readonly bytes: number;
    readonly retransmits: number | undefined;
  }[];
}

function bytesOf({ streams }: Streams): number {
  return sumOf(streams, ({ bytes }) => bytes);
}

/** undefined where no stream tells. */
function retransmitsOf({ streams }: Streams): number | undefined {
  const known = streams.flatMap(({ retransmits }) => retransmits ?? []);
  return known.length === 0 ? undefined : sumOf(known, (count) => count);
}

/** Of the datagrams that the receiver knows of, as iperf3 has it; undefined where there are none. */
function lostShareOf({ streams }: TestResults): number | undefined {
  const lost = sumOf(streams, ({ errors, omittedErrors }) => (errors ?? 0) - (omittedErrors ?? 0));
  const all = sumOf(streams, ({ packets, omittedPackets }) => {
    return (packets ?? 0) - (omittedPackets ?? 0);
  });
  return all === 0 ? undefined : lost / all;
}

/** All streams of a test begin and end together. */
function secondsOf({ streams }: TestResults): number | undefined {
  const known = streams.flatMap(({ seconds }) => seconds ?? []);
  return known.length === 0 ? undefined : Math.max(...known);
}
