/** Notices and summaries in words, a line each. Pure. */
import { printable } from "../errors.ts";
import { formatCount, formatDuration, formatRate, formatSize, formatTime } from "../units.ts";
import type { SocketState } from "./inspect.ts";
import type { Notice, ZerocopyNotice } from "./notice.ts";
import type { WatchSummary } from "./send.ts";

const originWidth = 12;

export function describeNotice(notice: Notice): string {
  return `${`${notice.origin}`.padEnd(originWidth)}  ${content(notice)}`;
}

function content(notice: Notice): string {
  switch (notice.origin) {
    case "zerocopy":
      return zerocopy(notice);
    case "local":
    case "icmp":
    case "icmp6": {
      const by = notice.offender === undefined ? "" : `, from ${notice.offender}`;
      return `${notice.errno}, type ${notice.type}, code ${notice.code}${by}`;
    }
    case "timestamping": {
      const clock = notice.clock === "card" ? ", by the card's clock" : "";
      return `${notice.stage.padEnd(9)}  id ${notice.id}, at ${(notice.ns / 1e6).toFixed(3)} ms${clock}`;
    }
    case "txtime":
      return `${notice.code}, asked for ${notice.txtime} ns`;
    default:
      return `${notice.errno}, type ${notice.type}, code ${notice.code}, info ${notice.info}, data ${notice.data}`;
  }
}

function zerocopy({ lo, hi, count, copied, exact, latencyNs }: ZerocopyNotice): string {
  const ids = count === 1 ? `send ${lo}` : `sends ${lo} to ${hi}`;
  const flag = copied ? "copied" : "not copied";
  const reach = exact ? flag : `the first ${flag}`;
  const after = latencyNs === undefined ? "" : `, after ${formatTime(latencyNs)}`;
  return `${ids}: ${reach}${after}`;
}

export function describeWatch(summary: WatchSummary): string[] {
  const { bytes, seconds, peer, sends, completions, copied, unknown, notifications } = summary;
  const { joined, unordered, retries, latencyNs } = summary;
  const rate = formatRate(seconds > 0 ? bytes / seconds : 0);
  const uncopied = formatCount(completions - copied - unknown);
  const lines = [
    `sent ${formatSize(bytes)} in ${formatDuration(seconds)} (${rate}) to ${printable(peer)}`,
    `${formatCount(sends)} sends, ${formatCount(completions)} complete: ${uncopied} not copied, ${formatCount(copied)} copied, ${formatCount(unknown)} unknown`,
    `${formatCount(notifications)} notifications, ${formatCount(joined)} joined, ${formatCount(unordered)} out of order; ${formatCount(retries)} sends tried again for lack of memory`,
  ];
  if (latencyNs === undefined) return lines;
  const { p50, p90, p99, max } = latencyNs;
  const times = `p50 ${formatTime(p50)}, p90 ${formatTime(p90)}, p99 ${formatTime(p99)}, max ${formatTime(max)}`;
  return [...lines, `from send to completion: ${times}`];
}

export function describeState(state: SocketState): string[] {
  const { pid, fd, cookie, local, peer, zerocopy: isOn, unsentBytes } = state;
  const optionMax =
    state.optionMemoryMax === undefined ? "" : ` of ${formatSize(state.optionMemoryMax)}`;
  const locked =
    state.lockedMemoryMax === undefined ? "unlimited" : formatSize(state.lockedMemoryMax);
  return [
    `process ${pid}, descriptor ${fd}, socket ${cookie}: ${printable(local)} to ${printable(peer)}`,
    `SO_ZEROCOPY      ${isOn ? "on" : "off"}`,
    `not acknowledged ${unsentBytes === undefined ? "unknown" : formatSize(unsentBytes)}`,
    `option memory    ${formatSize(state.optionMemory)}${optionMax}: sends in flight, and notifications not read`,
    `send memory      ${formatSize(state.sendMemory)} of ${formatSize(state.sendMemoryMax)}`,
    `locked memory    ${locked} at most`,
  ];
}
