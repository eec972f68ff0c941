/** What this process has open. */
import { readdirSync, readlinkSync } from "node:fs";

/** Each descriptor with what it is of: "7 /dev/null". */
export function openDescriptors(): ReadonlySet<string> {
  return new Set(readdirSync("/proc/self/fd").flatMap(described));
}

/**
 * Those that were not there before: to be polled for, as some are closed on a thread. One that
 * came from an earlier test may go any time, which is why nobody counts them all.
 */
export function openedSince(before: ReadonlySet<string>): string[] {
  return [...openDescriptors()].filter((descriptor) => !before.has(descriptor));
}

/** Nothing for the listing's own, which is gone by then. */
function described(fd: string): string[] {
  try {
    return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
  } catch {
    return [];
  }
}
