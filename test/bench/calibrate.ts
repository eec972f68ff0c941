/** test/bench/calibrate: are zc bench's figures right, and what does it cost? Held against others. */
import { mkdirSync, mkdtempSync, rmSync, writeSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { BenchResult } from "../../src/bench/result.ts";
import { cpuPerGiB } from "../../src/bench/result.ts";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { launcher } from "../support/zc.ts";
import { referenceProgram } from "./contenders.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "15" },
    time: { type: "string", default: "1000" },
  },
});
const timeMs = Number(values.time);
const GiB = 2 ** 30;
const plainProgram = join(dirname(referenceProgram), "plain");
const firstPort = 5200;

/** Where each end runs decides more than what it is. */
const onSender = ["taskset", "-c", "0"];
const onReceiver = ["taskset", "-c", "1"];

/** What arrived a second, and CPU seconds a GiB of both ends. */
interface Sample {
  readonly bytesPerSecond: number;
  readonly cpuPerGiB: number;
}

interface Case {
  readonly name: string;
  readonly transport: "tcp" | "unix";
  readonly size: number;
  /** Memory that is sent from; bytes. */
  readonly memory: number;
  readonly other: (subject: Case, at: string) => Promise<Sample>;
}

const large = 1 << 30;
const cases: readonly Case[] = [
  { name: "a C loop", transport: "tcp", size: 128 << 10, memory: large, other: plain },
  { name: "a C loop", transport: "tcp", size: 16 << 10, memory: large, other: plain },
  { name: "a C loop", transport: "unix", size: 128 << 10, memory: large, other: plain },
  { name: "iperf3", transport: "tcp", size: 128 << 10, memory: 4 << 20, other: iperf3 },
];

const source = join(import.meta.dirname, "plain.c");
mkdirSync(dirname(plainProgram), { recursive: true });
const built = Bun.spawnSync(["cc", "-O2", "-D_GNU_SOURCE", "-o", plainProgram, source]);
if (!built.success) throw new Error(built.stderr.toString());
const folder = mkdtempSync("/dev/shm/zc-calibrate-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

print(`Linux ${release()}, ${values.repeat} rounds of ${timeMs} ms.\n`);
print(
  "| against | transport | size | its GiB/s | zc's | zc's throughput over it | CPU time over it |",
);
print("| --- | --- | --- | --- | --- | --- | --- |");
for (const [index, subject] of cases.entries()) await calibrate(subject, index);
process.exit(0);

async function calibrate(subject: Case, index: number): Promise<void> {
  const ours: Sample[] = [];
  const others: Sample[] = [];
  for (let round = 0; round < Number(values.repeat); round++) {
    const port = firstPort + index * 100 + round;
    const at = subject.transport === "unix" ? join(folder, `${port}`) : `${port}`;
    const measureOther = async () => others.push(await subject.other(subject, at));
    const measureOurs = async () => ours.push(await zcBench(subject));
    const order = round % 2 === 0 ? [measureOther, measureOurs] : [measureOurs, measureOther];
    for (const measure of order) await measure();
  }
  const rates = (samples: Sample[]) => samples.map(({ bytesPerSecond }) => bytesPerSecond / GiB);
  const cpu = (samples: Sample[]) => samples.map((sample) => sample.cpuPerGiB);
  const cells = [
    ...[subject.name, subject.transport, `${subject.size >> 10} KiB`],
    ...[show(spreadOf(rates(others))), show(spreadOf(rates(ours)))],
    ...[show(ratiosOf(rates(ours), rates(others))), show(ratiosOf(cpu(ours), cpu(others)))],
  ];
  print(`| ${cells.join(" | ")} |`);
}

async function zcBench({ transport, size, memory }: Case): Promise<Sample> {
  const options = ["--modes=copy", "--repeat=1", "--json", "--cpu=0,1", `--source=${memory}`];
  const cell = [`--transport=${transport}`, `--sizes=${size}`, `--time=${timeMs}ms`];
  const text = await output([launcher, "bench", ...options, ...cell]);
  const { cells } = JSON.parse(text) as BenchResult;
  const run = cells.find((cell) => cell.size === size)?.runs[0];
  if (run === undefined) throw new Error(text);
  return { bytesPerSecond: run.bytesPerSecond, cpuPerGiB: cpuPerGiB(run) };
}

async function plain({ size, memory }: Case, at: string): Promise<Sample> {
  const receiving = output([...onReceiver, plainProgram, "recv", at]);
  const send = [plainProgram, "send", at, `${size}`, `${timeMs}`, `${memory}`];
  const sending = retried([...onSender, ...send]);
  const [received, sent] = await Promise.all([receiving, sending]);
  const [bytes = 0, seconds = 0, cpu = 0] = received.split(" ").map(Number);
  const [, , senderCpu = 0] = sent.split(" ").map(Number);
  return { bytesPerSecond: bytes / seconds, cpuPerGiB: (cpu + senderCpu) / (bytes / GiB) };
}

interface Iperf3Report {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly cpu_utilization_percent: {
      readonly host_total: number;
      readonly remote_total: number;
    };
  };
}

async function iperf3({ size }: Case, at: string): Promise<Sample> {
  const server = output([...onReceiver, "iperf3", "-s", "-1", "-p", at]);
  const seconds = `${Math.ceil(timeMs / 1e3)}`;
  const options = ["-p", at, "-t", seconds, "-l", `${size}`, "-J"];
  const client = [...onSender, "iperf3", "-c", "127.0.0.1", ...options];
  const isReport = (text: string) => text.includes("sum_received"); // -J: errors exit 0 too
  const [, text] = await Promise.all([server, retried(client, isReport)]);
  const { sum_received, cpu_utilization_percent: cpu } = (JSON.parse(text) as Iperf3Report).end;
  const bytesPerSecond = sum_received.bits_per_second / 8;
  const cores = (cpu.host_total + cpu.remote_total) / 100;
  return { bytesPerSecond, cpuPerGiB: (cores * GiB) / bytesPerSecond };
}

async function output(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "ignore" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${text}`);
  return text;
}

/** Until its peer listens. */
async function retried(
  command: readonly string[],
  isGood: (text: string) => boolean = () => true,
): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      const text = await output(command);
      if (isGood(text)) return text;
      throw new Error(text);
    } catch (error) {
      if (attempt === 200) throw error;
      await Bun.sleep(10);
    }
  }
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
