/** What was measured on, and how. Pure. */
import { formatSize } from "../../units.ts";
import type { BenchResult, BenchSettings, Machine } from "../result.ts";
import { formatExactSize } from "./figures.ts";

export interface Facts {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

export function factsOf({ version, date, machine, peer, settings }: BenchResult): Facts[] {
  return [
    { title: titleOf(peer, settings), facts: machineFacts(machine) },
    ...(peer ? [{ title: "Receiver", facts: machineFacts(peer) }] : []),
    { title: "Settings", facts: [["zc", version], ["date", date], ...settingFacts(settings)] },
  ];
}

/** What the machine that tells of itself was. */
function titleOf(peer: Machine | undefined, { iperf3 }: BenchSettings): string {
  if (iperf3?.reverse) return "Receiver";
  return peer || iperf3 ? "Sender" : "Machine";
}

function machineFacts(machine: Machine): Facts["facts"] {
  return [
    ["kernel", `Linux ${machine.kernel}`],
    ["processors", `${machine.processors} × ${machine.processor}`],
    ["last-level cache", formatExactSize(machine.lastLevelCache)],
    ["memory", formatSize(machine.memory)],
    ["congestion control", machine.congestion],
  ];
}

function settingFacts(settings: BenchSettings): Facts["facts"] {
  const { bytes, seconds, repeat, cpu, mss } = settings;
  const length = [bytes && formatExactSize(bytes), seconds && `${seconds} s`].filter(Boolean);
  return [
    ...(settings.iperf3 ? [["the other end", "iperf3"] as const] : []),
    ["rounds", String(repeat)],
    ["each run", length.join(" or ")],
    ...(settings.requestsPerSecond === undefined
      ? []
      : [["requests a second", String(settings.requestsPerSecond)] as const]),
    ["streams", String(settings.streams)],
    ...(mss === undefined ? [] : [["maximum segment size", formatExactSize(mss)] as const]),
    ["sent from", `${formatExactSize(settings.sourceBytes)} of memory, over and over`],
    ["written to before each send", settings.touch ? "yes" : "no"],
    ["off the begin of a page", formatExactSize(settings.misalign)],
    ["huge pages", settings.hugePages ? "yes" : "no"],
    ["bound to processors", cpu ? `sender ${cpu[0]}, receiver ${cpu[1]}` : "no"],
  ];
}
