/** What this process may have in flight without copies: locked memory, and option memory. */
import { readFileSync } from "node:fs";
import { formatSize } from "./units.ts";

/** Four transfers with the default depth and chunk of msg-zerocopy, 16 times 1 MiB. */
export const lockedMemoryWanted = 64 << 20;
export const optionMemoryWanted = 128 << 10;
export const raiseLockedMemory = `ulimit -l ${lockedMemoryWanted >> 10}`;
export const optionMemorySetting = "net.core.optmem_max";

/** capabilities(7) */
const capIpcLock = 14;

export interface LockedMemory {
  /** RLIMIT_MEMLOCK, setrlimit(2); bytes, Infinity where there is no limit. */
  readonly limit: number;
  /** CAP_IPC_LOCK: the limit does not count. */
  readonly isExempt: boolean;
}

export function lockedMemory(): LockedMemory {
  const line = /^Max locked memory\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  const limit = line?.[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(line?.[1] ?? 0);
  return { limit, isExempt: hasCapability(capIpcLock) };
}

/** A sysctl's text, "net.core.optmem_max"; undefined where it is not to be read. */
export function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Which of the two refused a send with nothing in flight (ENOBUFS), and the command that raises it. */
export function zerocopyMemoryHint(): string {
  const { limit, isExempt } = lockedMemory();
  if (!isExempt && limit < lockedMemoryWanted)
    return `locked memory (RLIMIT_MEMLOCK, ${formatSize(limit)} for all of a user's processes) is used up: ${raiseLockedMemory}`;
  const optionMemory = readSetting(optionMemorySetting);
  const size = optionMemory === undefined ? "unknown" : formatSize(Number(optionMemory));
  return `option memory (${optionMemorySetting}, ${size}) is used up: sysctl ${optionMemorySetting}=${optionMemoryWanted}`;
}

function hasCapability(bit: number): boolean {
  const line = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  return ((BigInt(`0x${line?.[1] ?? "0"}`) >> BigInt(bit)) & 1n) === 1n;
}
