/** A relayed connection in words. */
import { printable } from "../errors.ts";
import { formatDuration, formatSize } from "../units.ts";
import type { RelaySummary } from "./summary.ts";

/** `tcp:… to unix:…: 1.0 GiB forth, 12 B back in 0.81 s, spliced: not copied here` */
export function describeRelay({ near, far, forth, back, seconds, copied }: RelaySummary): string {
  const ends = `${printable(near)} to ${printable(far)}`;
  const passed = `${formatSize(forth.bytes)} forth, ${formatSize(back.bytes)} back`;
  const how = copied ? "spliced: vsock copies it, within the kernel" : "spliced: not copied here";
  return `${ends}: ${passed} in ${formatDuration(seconds)}, ${how}`;
}
