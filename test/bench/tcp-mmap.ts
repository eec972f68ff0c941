/**
 * test/bench/tcp-mmap: page-sized segments over loopback, mapped by the kernel's own selftest and by
 * zc. tcp_mmap sends to both, by MSG_ZEROCOPY; and zc sends to it, which says what it could map.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { GiB, parseSize } from "../../src/units.ts";
import { listening, type Running, start, zc } from "../support/zc.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "7" },
    bytes: { type: "string", default: "4G" },
    source: { type: "string" },
  },
});
const size = parseSize(values.bytes, "--bytes");
const mss = "4108";
const folder = mkdtempSync("/dev/shm/zc-tcp-mmap-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const program = compiled(values.source ?? "");

const summaryText = /received (\S+) MB \((\S+) % mmap'ed\) in (\S+) s.*\n.*user:(\S+) sys:(\S+),/;

interface Sample {
  readonly mappedShare: number;
  /** GiB a second. */
  readonly rate: number;
  /** CPU seconds a GiB, of the receiver; zc's start included. */
  readonly cpu: number;
}

type Measure = () => Promise<Sample>;

const contenders: readonly (readonly [name: string, measure: Measure])[] = [
  ["tcp_mmap", toSelftest],
  ["zc recv --mode tcp-zerocopy", () => toOurs("tcp-zerocopy")],
  ["zc recv --mode copy", () => toOurs("copy")],
];

let port = 5500;
const samples = contenders.map((): Sample[] => []);
for (let round = 0; round < Number(values.repeat); round++)
  for (let turn = 0; turn < contenders.length; turn++) {
    const index = (round + turn) % contenders.length;
    const sample = await contenders[index]?.[1]();
    if (sample !== undefined) samples[index]?.push(sample);
  }

print(`Linux ${release()}, ${values.repeat} rounds of ${values.bytes}.\n`);
print("| | GiB/s | over it | CPU s/GiB, the receiver | over it | mapped |");
print("| --- | --- | --- | --- | --- | --- |");
for (const [index, [name]] of contenders.entries()) {
  const cells = (["rate", "cpu"] as const).flatMap((what) => {
    const own = (samples[index] ?? []).map((sample) => sample[what]);
    const first = (samples[0] ?? []).map((sample) => sample[what]);
    return [show(spreadOf(own)), index === 0 ? "" : show(ratiosOf(own, first))];
  });
  const shares = spreadOf((samples[index] ?? []).map(({ mappedShare }) => mappedShare * 100));
  print(`| ${[name, ...cells, `${shares.median.toFixed(2)} %`].join(" | ")} |`);
}
const { mappedShare } = await fromOurs();
print(`\nof zc send --mode msg-zerocopy, tcp_mmap maps ${(mappedShare * 100).toFixed(2)} %`);
process.exit(0);

/** It sends 32 GiB, whatever is asked. */
function compiled(source: string): string {
  const changed = join(folder, "tcp_mmap.c");
  const text = readFileSync(source, "utf8").replace(/^(#define FILE_SZ).*$/m, `$1 ${size}ULL`);
  writeFileSync(changed, text);
  const output = join(folder, "tcp_mmap");
  const { exitCode, stderr } = Bun.spawnSync([
    ...["gcc", "-O2", "-w", "-pthread", "-o", output, changed, "-lcrypto"],
  ]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  return output;
}

async function toSelftest(): Promise<Sample> {
  const at = `${port++}`;
  const receiver = startSelftest(at);
  await sendBySelftest(at);
  return await endOfSelftest(receiver);
}

async function toOurs(mode: string): Promise<Sample> {
  const args = [`127.0.0.1:${port++}`, "/dev/null", "--mss", mss, "--mode", mode, "--json"];
  const receiver = await listening(["recv", ...args, "--size", `${size}`]);
  await sendBySelftest(receiver.address.replace(/.*:/, ""));
  const { bytes, seconds, cpu, zerocopy } = JSON.parse((await receiver.result).stdout.toString());
  const cpuSeconds = cpu.user + cpu.system;
  return {
    mappedShare: zerocopy.received / bytes,
    rate: bytes / GiB / seconds,
    cpu: cpuSeconds / (bytes / GiB),
  };
}

async function fromOurs(): Promise<Sample> {
  const at = `${port++}`;
  const receiver = startSelftest(at);
  const file = join(folder, "file");
  Bun.spawnSync(["sh", "-c", `head -c ${Math.min(size, GiB)} /dev/urandom >${file}`]);
  const to = [`127.0.0.1:${at}`, file, "--retry", "10s", "--mss", mss];
  await zc(["send", ...to, "--mode", "msg-zerocopy"]);
  return await endOfSelftest(receiver);
}

interface Selftest {
  readonly running: Running;
  /** What it prints once it has received all. */
  readonly summary: Promise<RegExpExecArray>;
}

/** Its summary would lie in a buffer until it ends, which it never does. */
function startSelftest(at: string): Selftest {
  const running = start("stdbuf", ["-oL", program, "-4", "-s", "-z", "-M", mss, "-p", at]);
  let text = "";
  const summary = new Promise<RegExpExecArray>((resolve) => {
    running.child.stdout?.on("data", (data: Buffer) => {
      text += data.toString();
      const match = summaryText.exec(text);
      if (match !== null) resolve(match);
    });
  });
  return { running, summary };
}

async function endOfSelftest({ running, summary }: Selftest): Promise<Sample> {
  const [MiB = 0, percent = 0, seconds = 1, user = 0, system = 0] = (await summary)
    .slice(1)
    .map(Number);
  running.child.kill("SIGKILL");
  await running.result;
  const gib = MiB / 1024;
  return { mappedShare: percent / 100, rate: gib / seconds, cpu: (user + system) / gib };
}

async function sendBySelftest(at: string): Promise<void> {
  const args = ["-4", "-H", "127.0.0.1", "-z", "-M", mss, "-p", at];
  for (;;) {
    const { code } = await start(program, args).result;
    if (code === 0) return; // else nobody listens yet
  }
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
