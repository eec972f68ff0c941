/** One transfer of one contender: both ends started, waited for, and accounted. */
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import type { Case } from "./cases.ts";
import { type Contender, type Place, referenceProgram } from "./contenders.ts";

export interface Sample {
  readonly seconds: number;
  /** User and system, of all processes of both ends. */
  readonly cpuSeconds: number;
  /** The largest process of either end; kilobytes. */
  readonly peakKilobytes: number;
  /** CPU time that the hypervisor gave to others meanwhile, as a share. */
  readonly stolen: number;
}

const timeoutMs = 120_000;

/** The sample, or why there is none. */
export async function measure(
  contender: Contender,
  { source, sink }: Case,
  place: Place,
  folder: string,
): Promise<Sample | string> {
  const output = { null: "/dev/null", pipe: undefined, file: `${folder}/sink` }[sink];
  const consumer = sink === "pipe" && !contender.memoryOnly ? ` | ${referenceProgram} consume` : "";
  const producer = source === "pipe" ? `${referenceProgram} produce ${place.bytes} | ` : "";
  const input = source === "file" ? `${folder}/source` : undefined;

  if (sink === "file") touchMemory(`${folder}/sink`, place.bytes);
  const before = readCpu();
  const receiver = spawn(`${contender.receive(place, output)}${consumer}`);
  if (!(await untilListening(place, receiver))) return "it did not listen";
  const begin = performance.now();
  const sender = spawn(`${producer}${contender.send(place, input)}`);
  const timer = setTimeout(() => {
    sender.kill();
    receiver.kill();
  }, timeoutMs);
  const codes = await Promise.all([sender.exited, receiver.exited]);
  const seconds = (performance.now() - begin) / 1e3;
  clearTimeout(timer);

  const failure = codes.some((code) => code !== 0) ? `exit ${codes.join(" and ")}` : undefined;
  const short = sink === "file" && statSync(`${folder}/sink`).size !== place.bytes;
  rmSync(`${folder}/sink`, { force: true });
  if (place.transport === "unix") rmSync(place.at, { force: true });
  if (failure !== undefined || short) return failure ?? "not all arrived";
  return { seconds, ...usageOf([sender, receiver]), stolen: stolenSince(before) };
}

/**
 * In a virtual machine the first use of a page waits for the host. All contenders get pages that
 * a file has used just now.
 */
function touchMemory(path: string, bytes: number): void {
  Bun.spawnSync(["fallocate", "-l", `${bytes}`, path]);
  rmSync(path, { force: true });
}

function spawn(command: string) {
  return Bun.spawn(["sh", "-c", command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
}

/** wait4(2)'s figures: the shell's, and so those of all that it waited for. */
function usageOf(
  processes: readonly ReturnType<typeof spawn>[],
): Pick<Sample, "cpuSeconds" | "peakKilobytes"> {
  const usages = processes.map((process) => process.resourceUsage());
  const cpu = usages.reduce((sum, usage) => sum + Number(usage?.cpuTime.total ?? 0), 0);
  const peak = Math.max(...usages.map((usage) => usage?.maxRSS ?? 0));
  return { cpuSeconds: cpu / 1e6, peakKilobytes: peak / 1024 };
}

const pollMs = 2;

/** Asks the kernel's tables: connecting would be the receiver's first connection. */
export async function untilListening(
  { transport, at }: Pick<Place, "transport" | "at">,
  receiver: Pick<Bun.Subprocess, "exitCode">,
): Promise<boolean> {
  while (receiver.exitCode === null) {
    if (transport === "unix" ? existsSync(at) && isUnixListener(at) : isTcpListener(at))
      return true;
    await Bun.sleep(pollMs);
  }
  return false;
}

/** proc(5): state 0A is LISTEN. */
function isTcpListener(port: string): boolean {
  const hex = Number(port).toString(16).toUpperCase().padStart(4, "0");
  const pattern = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F:]+ 0A`, "m");
  return ["tcp", "tcp6"].some((table) => pattern.test(readFileSync(`/proc/net/${table}`, "utf8")));
}

/** The flag __SO_ACCEPTCON, 0x10000. */
function isUnixListener(path: string): boolean {
  const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
  return lines.some((line) => line.endsWith(` ${path}`) && line.includes(" 00010000 "));
}

interface Cpu {
  readonly all: number;
  readonly stolen: number;
}

/** proc(5): user nice system idle iowait irq softirq steal. */
function readCpu(): Cpu {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const ticks = line.split(/ +/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, tick) => sum + tick, 0), stolen: ticks[7] ?? 0 };
}

function stolenSince(before: Cpu): number {
  const now = readCpu();
  return (now.stolen - before.stolen) / Math.max(now.all - before.all, 1);
}
