/**
 * test/bench/migrate: how fast zc reads a stream, against analyze-migration.py of QEMU's sources on
 * the same file, and against cat through the same pipe; in the same run, each time another one first.
 */
import { mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { GiB } from "../../src/units.ts";
import { launcher } from "../support/zc.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    memory: { type: "string", default: "3072" },
  },
});
const repeat = Number(values.repeat);
const memoryMiB = Number(values.memory);
const peers = join(import.meta.dirname, "../peers");
const folder = mkdtempSync("/dev/shm/zc-bench-migrate-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const stream = join(folder, "stream");
const images = join(folder, "images");
await makeStream();
const analyzer = await outputOf(
  join(peers, "fetch-source"),
  "trixie",
  "qemu",
  "scripts/analyze-migration.py",
);
const bytes = statSync(stream).size;
print(`Linux ${release()}; a stream of ${(bytes / GiB).toFixed(2)} GiB, ${repeat} rounds.\n`);
print("| | seconds | GiB/s | × the other | MiB resident |");
print("| --- | --- | --- | --- | --- |");

const zc = `${launcher} migrate`;
const python = `python3 ${analyzer} -f ${stream}`;
await compare(
  ["analyze-migration.py -d state", `${python} -d state >/dev/null`],
  ["zc migrate info", `${zc} info ${stream} >/dev/null`],
  ["zc migrate decode", `${zc} decode ${stream} >/dev/null`],
);
await compare(
  [
    "analyze-migration.py -x",
    `mkdir ${images}; cd ${images}; ${python} -x >/dev/null; rm -r ${images}`,
  ],
  ["zc migrate decode --ram", `${zc} decode --ram ${images} ${stream} >/dev/null; rm -r ${images}`],
);
await compare(
  ["cat | cat >/dev/null", `cat ${stream} | cat >/dev/null`],
  ["cat | zc migrate info", `cat ${stream} | ${zc} info >/dev/null`],
);

interface Sample {
  readonly seconds: number;
  readonly residentMiB: number;
}

type Contender = readonly [name: string, command: string];

async function compare(...contenders: readonly Contender[]): Promise<void> {
  const samples = contenders.map((): Sample[] => []);
  for (let round = 0; round < repeat; round++)
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length;
      samples[index]?.push(await measure(contenders[index]?.[1] ?? ""));
    }
  const secondsOf = (index: number) => (samples[index] ?? []).map(({ seconds }) => seconds);
  for (const [index, [name]] of contenders.entries()) {
    const seconds = secondsOf(index);
    const rates = seconds.map((value) => bytes / GiB / value);
    const ratio = index === 0 ? "" : show(ratiosOf(secondsOf(0), seconds));
    const resident = Math.max(...(samples[index] ?? []).map(({ residentMiB }) => residentMiB));
    print(
      `| ${name} | ${show(spreadOf(seconds))} | ${show(spreadOf(rates))} | ${ratio} | ${resident.toFixed(0)} |`,
    );
  }
}

/** Of all processes of the command the largest; wall-clock seconds of it all. */
async function measure(command: string): Promise<Sample> {
  const began = performance.now();
  const child = Bun.spawn(["sh", "-c", command], { stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(command);
  const seconds = (performance.now() - began) / 1e3;
  return { seconds, residentMiB: (child.resourceUsage()?.maxRSS ?? 0) / 2 ** 20 };
}

/** A machine whose memory is random by two thirds; the rest is zeros, or the same page again. */
async function makeStream(): Promise<void> {
  const memory = join(folder, "memory");
  const fd = openSync(memory, "w");
  const chunk = new Uint8Array(1 << 20);
  for (let at = 0; at < memoryMiB; at++) {
    if (at % 6 === 5) chunk.fill(0);
    else if (at % 6 === 4) chunk.fill(7);
    else
      for (let i = 0; i < chunk.length; i += 65536)
        crypto.getRandomValues(chunk.subarray(i, i + 65536));
    writeSync(fd, chunk);
  }
  const backend = `memory-backend-file,id=pc.ram,size=${memoryMiB}M,mem-path=${memory},share=on`;
  const machine = [
    ...["-machine", "pc,memory-backend=pc.ram,accel=tcg", "-m", `${memoryMiB}`, "-object", backend],
    ...["-nodefaults", "-display", "none", "-S", "-monitor", "stdio"],
  ];
  const qemu = Bun.spawn(["qemu-system-x86_64", ...machine], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "inherit",
  });
  qemu.stdin.write(`migrate "exec:cat >${stream}"\nquit\n`);
  await qemu.stdin.flush();
  await qemu.exited;
  rmSync(memory);
}

async function outputOf(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "ignore" });
  return (await new Response(child.stdout).text()).trim();
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
