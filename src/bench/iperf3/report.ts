/** A test in words: for who runs our server, and for a client that asks what it said. Pure. */
import type { SendMode } from "../../transfer/plan.ts";
import { formatCount, formatDuration, formatRate } from "../../units.ts";
import { sumOf } from "../streams.ts";
import type { TestParameters } from "./parameters.ts";
import type { Counted, CountedStream } from "./tally.ts";

/** "zc: testing with tcp:…: we send by copy, over 2 streams"; `mode` is ours. */
export function describeBegin(peer: string, parameters: TestParameters, mode: SendMode): string {
  const { direction, streams, protocol } = parameters;
  const how = protocol === "tcp" ? ` by ${mode}` : "";
  const who = {
    forward: "it sends",
    reverse: `we send${how}`,
    bidirectional: `both send${how && `, we${how}`}`,
  }[direction];
  return `zc: testing with ${peer}: ${who}, over ${streams} stream${streams === 1 ? "" : "s"}`;
}

/** "zc: tested with tcp:… for 1.00 s: received 1,288,490,188 bytes, 1.20 GiB/s" */
export function describeEnd(peer: string, { streams, seconds }: Counted): string {
  const parts = [false, true].flatMap((sends) => {
    const some = streams.filter((stream) => stream.sends === sends);
    return some.length === 0 ? [] : [describeStreams(some, sends, seconds)];
  });
  return `zc: tested with ${peer} for ${formatDuration(seconds)}: ${parts.join("; ")}`;
}

/** Of one direction. */
function describeStreams(
  streams: readonly CountedStream[],
  sends: boolean,
  seconds: number,
): string {
  const bytes = sumOf(streams, (stream) => stream.bytes);
  const moved = `${sends ? "sent" : "received"} ${formatCount(bytes)} bytes`;
  const packets = datagramsOf(streams, "packets");
  const lost = `, ${formatCount(datagramsOf(streams, "errors"))} of ${formatCount(packets)} lost`;
  return `${moved}, ${formatRate(bytes / seconds)}${sends || packets === 0 ? "" : lost}`;
}

function datagramsOf(streams: readonly CountedStream[], name: "packets" | "errors"): number {
  return sumOf(streams, ({ datagrams, omitted }) => (datagrams?.[name] ?? 0) - omitted[name]);
}
