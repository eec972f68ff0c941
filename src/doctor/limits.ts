/** Limits that decide how much can be in flight. */
import { readFileSync } from "node:fs";
import { formatSize } from "../units.ts";
import type { Finding, Probe } from "./finding.ts";

type Result = Omit<Finding, "feature">;

/** What the default depth and chunk of msg-zerocopy need: docs/measurements.md. */
const lockedMemoryWanted = 64 << 20;
const optionMemoryWanted = 128 << 10;
const pipeSizeWanted = 1 << 20;

export const limitProbes: readonly Probe[] = [
  { feature: "locked memory", run: async () => lockedMemory() },
  { feature: "option memory", run: async () => optionMemory() },
  { feature: "pipe size", run: async () => pipeSize() },
  { feature: "congestion control", run: async () => congestionControl() },
];

/** Sends with MSG_ZEROCOPY lock their pages: RLIMIT_MEMLOCK, setrlimit(2). */
function lockedMemory(): Result {
  const line = /^Max locked memory\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  const limit = line?.[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(line?.[1] ?? 0);
  const detail = limit === Number.POSITIVE_INFINITY ? "unlimited" : formatSize(limit);
  if (hasCapability(capIpcLock))
    return {
      verdict: "works",
      detail: `${detail}, which CAP_IPC_LOCK passes over`,
    };
  if (limit >= lockedMemoryWanted) return { verdict: "works", detail };
  return {
    verdict: "copies",
    detail: `${detail}: no more zero-copy in flight`,
    mend: "ulimit -l 65536",
  };
}

/** Each send in flight takes some: net.core.optmem_max, Documentation/admin-guide/sysctl/net.rst. */
function optionMemory(): Result {
  return sysctl("net.core.optmem_max", optionMemoryWanted);
}

function pipeSize(): Result {
  return sysctl("fs.pipe-max-size", pipeSizeWanted);
}

function sysctl(name: string, wanted: number): Result {
  const text = readSetting(name);
  if (text === undefined) return { verdict: "missing", detail: `no ${name}` };
  const value = Number(text);
  if (value >= wanted) return { verdict: "works", detail: formatSize(value) };
  return {
    verdict: "copies",
    detail: `${formatSize(value)} is little`,
    mend: `sysctl ${name}=${wanted}`,
  };
}

function congestionControl(): Result {
  const name = readSetting("net.ipv4.tcp_congestion_control");
  if (name === undefined) return { verdict: "missing", detail: "not readable" };
  if (name !== "bbr") return { verdict: "works", detail: name };
  const mend = "for benchmarks: --congestion cubic, or reno";
  return {
    verdict: "works",
    detail: "bbr, which paces loopback to a fraction of its speed",
    mend,
  };
}

function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** capabilities(7) */
const capIpcLock = 14;

function hasCapability(bit: number): boolean {
  const line = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  return ((BigInt(`0x${line?.[1] ?? "0"}`) >> BigInt(bit)) & 1n) === 1n;
}
