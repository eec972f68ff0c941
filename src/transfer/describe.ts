/** A summary in words. */
import { printable } from "../errors.ts";
import { formatCount, formatDuration, formatRate, formatShare, formatSize } from "../units.ts";
import { pageMss } from "./plan.ts";
import type { Summary } from "./summary.ts";

/** `sent 2.0 GiB in 0.41 s (4.9 GiB/s) to tcp:…`, and what was not copied. One line each. */
export function describeSummary(direction: "send" | "receive", summary: Summary): string[] {
  const { bytes, seconds, bytesPerSecond, peer, cpu } = summary;
  const verb = direction === "send" ? "sent" : "received";
  const preposition = direction === "send" ? "to" : "from";
  const moved = `${verb} ${formatSize(bytes)} in ${formatDuration(seconds)} (${formatRate(bytesPerSecond)})`;
  const cpuText = `cpu ${cpu.user.toFixed(2)} s user, ${cpu.system.toFixed(2)} s system`;
  return [
    `${moved} ${preposition} ${printable(peer)}, ${ends[summary.end]}`,
    `${summary.mode}: ${copies(direction, summary)}; ${cpuText}`,
    ...extras(summary),
  ];
}

const ends: Record<Summary["end"], string> = {
  closed: "all of it acknowledged, and closed by the peer",
  acknowledged: "all of it acknowledged",
  verified: "length verified",
  unverified: "length unverified",
};

/** How much was moved without a copy, and why not where it was not. */
function copies(direction: "send" | "receive", summary: Summary): string {
  const { mode, zerocopy } = summary;
  if (mode === "sendfile") return "sent from the page cache, not copied here";
  if (mode === "splice") return "pages moved through a pipe, not copied here";
  if (mode === "tcp-zerocopy") return mapped(summary);
  if (zerocopy.sends > 0) return zerocopySends(zerocopy);
  if (mode === "discard") return "dropped in the socket, not copied";
  if (mode === "zcrx") return zcrxPieces(summary);
  return direction === "send" ? "copied into the socket" : "copied out of the socket";
}

function zerocopySends(zerocopy: Summary["zerocopy"]): string {
  const { sends, completions, copied, unknown, retries, fallbacks } = zerocopy;
  const uncopied = formatCount(completions - copied - unknown);
  const parts = [`${uncopied} of ${formatCount(sends)} sends not copied`];
  if (copied > 0) parts.push(`${formatCount(copied)} copied by the kernel (${copyReasons})`);
  if (unknown > 0) parts.push(`${formatCount(unknown)} told of together with one before them`);
  if (fallbacks > 0) {
    const why = retries > 0 ? memoryReasons : "too small, or the kernel copies anyway";
    parts.push(`${formatCount(fallbacks)} more copied at once (${why})`);
  }
  return parts.join(", ");
}

/** Below this share, what is in the way is worth a word. */
const mappedWanted = 0.99;

function mapped({ bytes, zerocopy }: Summary): string {
  const share = bytes === 0 ? 0 : zerocopy.received / bytes;
  const text = `${formatShare(share)} of the bytes mapped, not copied`;
  return share < mappedWanted ? `${text} (${pageReasons})` : text;
}

const pageReasons = `it needs page-sized segments: --mss ${pageMss} on both ends; over loopback a sender by msg-zerocopy, io-uring or splice, else a card that splits off headers`;

function zcrxPieces({ bytes, zerocopy }: Summary): string {
  const { received, untold, lent, returned } = zerocopy;
  const pieces = `${formatCount(lent)} pieces lent, ${formatCount(returned)} given back`;
  if (untold > 0) return `Linux before 7.2 does not say what it copied; ${pieces}`;
  const copied = received < bytes ? ` (the rest did not come by the queue of --if and --rxq)` : "";
  return `${formatSize(received)} of ${formatSize(bytes)} not copied${copied}; ${pieces}`;
}

/** Documentation/networking/msg_zerocopy.rst, "Loopback" and "Deferred copies". */
const copyReasons =
  "loopback, a tap on the way, a card without scatter-gather or checksums, a peer without room";
const memoryReasons =
  "locked memory, ulimit -l, or option memory, net.core.optmem_max, was used up";

function extras({ checksum, discarded, holes, settings }: Summary): string[] {
  const lines: string[] = [];
  if (holes > 0) lines.push(`${formatSize(holes)} left as holes`);
  if (discarded > 0) lines.push(`${formatSize(discarded)} came back from the peer, discarded`);
  const named = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  if (named.length > 0) lines.push(`socket: ${printable(named.join(", "))}`);
  if (checksum !== undefined) lines.push(checksum);
  return lines;
}
