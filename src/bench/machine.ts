/** What decides how fast bytes move here, as far as the machine tells. */
import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { readSetting } from "../limits.ts";
import type { Machine } from "./result.ts";

/** Where the machine does not tell; bytes. */
const lastLevelCacheDefault = 32 << 20;
const cacheFolder = "/sys/devices/system/cpu/cpu0/cache";

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    kernel: release(),
    processor: processors[0]?.model.trim() || process.arch,
    processors: processors.length,
    lastLevelCache: lastLevelCache(),
    memory: totalmem(),
    congestion: readSetting("net.ipv4.tcp_congestion_control") ?? "unknown",
  };
}

/** Bytes; Documentation/ABI/testing/sysfs-devices-system-cpu. */
function lastLevelCache(): number {
  try {
    const sizes = readdirSync(cacheFolder)
      .filter((name) => name.startsWith("index"))
      .map((name) => readFileSync(`${cacheFolder}/${name}/size`, "utf8"))
      .map((text) => Number.parseInt(text, 10) * 1024);
    return Math.max(...sizes.filter(Number.isFinite), 0) || lastLevelCacheDefault;
  } catch {
    return lastLevelCacheDefault;
  }
}

const cachesOfSource = 4;
const sourceBytesMin = 64 << 20;
const memoryShareMax = 1 / 8;
const sourceUnit = 2 << 20;

/**
 * Bytes to send from: so many that the cache cannot hold them until they are sent again. Limited by
 * what the machine can spare.
 */
export function sourceBytesFor({ lastLevelCache, memory }: Machine): number {
  const wanted = Math.max(cachesOfSource * lastLevelCache, sourceBytesMin);
  return Math.floor(Math.min(wanted, memory * memoryShareMax) / sourceUnit) * sourceUnit;
}
