/** Limits that decide how much can be in flight. */
import {
  lockedMemory,
  lockedMemoryWanted,
  optionMemorySetting,
  optionMemoryWanted,
  raiseLockedMemory,
  readSetting,
} from "../limits.ts";
import { formatSize } from "../units.ts";
import type { Finding, Probe } from "./finding.ts";

type Result = Omit<Finding, "feature">;

const pipeSizeWanted = 1 << 20;

export const limitProbes: readonly Probe[] = [
  { feature: "locked memory", run: async () => findLockedMemory() },
  { feature: "option memory", run: async () => sysctl(optionMemorySetting, optionMemoryWanted) },
  { feature: "pipe size", run: async () => sysctl("fs.pipe-max-size", pipeSizeWanted) },
  { feature: "congestion control", run: async () => congestionControl() },
];

/** Sends with MSG_ZEROCOPY lock their pages. */
function findLockedMemory(): Result {
  const { limit, isExempt } = lockedMemory();
  const detail = limit === Number.POSITIVE_INFINITY ? "unlimited" : formatSize(limit);
  if (isExempt) return { verdict: "works", detail: `${detail}, which CAP_IPC_LOCK passes over` };
  if (limit >= lockedMemoryWanted) return { verdict: "works", detail };
  return {
    verdict: "copies",
    detail: `${detail}: no more zero-copy in flight`,
    mend: raiseLockedMemory,
  };
}

/** Documentation/admin-guide/sysctl/net.rst and fs.rst. */
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
