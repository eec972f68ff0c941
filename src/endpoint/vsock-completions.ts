/**
 * CVE-2026-53365: some kernels say of a vsock send over 64 KiB that they have let go of it when only
 * its first part is through. Who writes to that memory then changes what arrives.
 */
import { release } from "node:os";

/** A send of this length is one packet, whose completion can be believed everywhere; bytes. */
const packetSize = 64 * 1024;

/** First kernel with the bug, and first without it, of each series. */
const affected = [
  ["6.7.0", "6.12.97"],
  ["6.13.0", "6.18.34"],
  ["6.19.0", "7.0.11"],
] as const;

/** Bytes that a vsock send without copies may have on this kernel; undefined: any number. */
export function vsockSendMax(): number | undefined {
  return completesTooEarly() ? packetSize : undefined;
}

/** Whether a kernel of this release may have the bug: distributions can have mended it before. */
export function completesTooEarly(kernel: string = release()): boolean {
  const version = numbersOf(kernel);
  return affected.some(([first, fixed]) => {
    return compare(version, numbersOf(first)) >= 0 && compare(version, numbersOf(fixed)) < 0;
  });
}

/** "6.12.74+deb13-amd64": 6, 12, 74. */
function numbersOf(text: string): readonly number[] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return [major, minor, patch].map((part) => Number(part ?? 0));
}

function compare(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at === -1 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}
