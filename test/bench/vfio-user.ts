/**
 * test/bench/vfio-user: how fast a device answers, and how fast its state moves: zc's client and
 * server, a client as libvfio-user's sample is one, and its server, each with each; then zc vfio save
 * against cat. All in one run, each time another one first, after a round that does not count.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { GiB, parseDuration, parseSize } from "../../src/units.ts";
import { launcher } from "../support/zc.ts";
import { referenceProgram } from "./contenders.ts";
import { compile, useLibrary } from "./libvfio-user/build.ts";
import { untilListening } from "./measure.ts";
import {
  pieceSize,
  readSize,
  referenceClient,
  referenceReads,
  referenceState,
  zcReads,
  zcState,
} from "./vfio-user-clients.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    bytes: { type: "string", default: "1G" },
    time: { type: "string", default: "1s" },
  },
});
const repeat = Number(values.repeat);
const size = parseSize(values.bytes, "--bytes");
const timeMs = parseDuration(values.time, "--time");
let nextPort = 5400;
const pollMs = 5;

const folder = mkdtempSync("/dev/shm/zc-vfio-user-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const output = join(import.meta.dirname, "..", ".out");
mkdirSync(output, { recursive: true });
compile(referenceClient, join(import.meta.dirname, "vfio-user-reference.c"));
compile(referenceProgram, join(import.meta.dirname, "reference.c"));
const build = process.env["ZC_LIBVFIO_USER"];
const library = build === undefined ? undefined : useLibrary(build, output);

/** One way to do a thing, and what it gave. */
interface Contender<T> {
  readonly name: readonly string[];
  readonly measure: () => Promise<T>;
}

interface Server {
  readonly name: string;
  readonly socket: string;
}

type Device = "gpio" | "memory";
/** Where the device's own bytes are. */
const bars = { gpio: 2, memory: 0 } as const;

const ours = `${launcher} vfio-user serve -q --device`;
const servers: Record<Device, readonly Server[]> = {
  gpio: await startAll("gpio", [
    ["libvfio-user", library?.gpio],
    ["zc", `${ours} gpio`],
  ]),
  memory: await startAll("memory", [
    ["libvfio-user", library && `${library.memory} ${size}`],
    ["zc", `${ours} memory --size ${size}`],
  ]),
};

const built =
  library === undefined ? "no libvfio-user" : `libvfio-user built ${library.optimization}`;
print(`Linux ${release()}, ${built}, ${repeat} rounds.`);
for (const device of ["gpio", "memory"] as const) await compareReads(device);
await compareStates();
await compareSaves();
process.exit(0);

/** The first is what the others are held against: as libvfio-user does it, where that is there. */
async function compareReads(device: Device): Promise<void> {
  const rows = servers[device].flatMap(({ name, socket }): Contender<number>[] => [
    { name: ["reference", name, "1"], measure: () => referenceReads(socket, bars[device], timeMs) },
    ...[1, 16].map((depth) => ({
      name: ["zc", name, `${depth}`],
      measure: () => zcReads(socket, bars[device], { depth, timeMs }),
    })),
  ]);
  print(`\n### ${device}: reads of ${readSize} bytes\n`);
  heading("client", "server", "at once", "reads a second, median (min to max)", "× the first");
  for (const [name, samples, first] of await interleave(rows))
    print(row(...name, show(spreadOf(samples), 0), show(ratiosOf(samples, first), 2)));
}

async function compareStates(): Promise<void> {
  const rows = servers.memory.flatMap(({ name, socket }): Contender<number>[] => [
    { name: ["reference", name], measure: () => referenceState(socket, size) },
    { name: ["zc", name], measure: () => zcState(socket, size) },
  ]);
  print(`\n### ${values.bytes} of migration data, by ${pieceSize} bytes\n`);
  heading("client", "server", "GiB/s", "× the first");
  for (const [name, samples, first] of await interleave(rows))
    print(row(...name, show(spreadOf(samples), 2), show(ratiosOf(samples, first), 2)));
}

interface Sample {
  /** GiB a second, from the start of the sender to the end of both. */
  readonly rate: number;
  /** CPU seconds a GiB, of the sender alone. */
  readonly cpu: number;
  /** MiB, of the sender alone. */
  readonly resident: number;
}

async function compareSaves(): Promise<void> {
  const file = join(folder, "state");
  if (!Bun.spawnSync(["fallocate", "-l", `${size}`, file]).success) throw new Error(file);
  const cat = `exec cat ${file} >/dev/tcp/127.0.0.1`;
  const save = `exec ${launcher} vfio save -q`;
  const rows: Contender<Sample>[] = [
    { name: ["cat"], measure: () => send((port) => `${cat}/${port}`) },
    ...servers.memory.map(({ name, socket }) => ({
      name: [`zc vfio save, from ${name}'s server`],
      measure: () => send((port) => `${save} vfio-user:${socket} 127.0.0.1:${port}`),
    })),
  ];
  print(`\n### ${values.bytes} over TCP, to a reader that drops it\n`);
  heading("sender", "GiB/s", "× cat", "CPU s/GiB, of the sender", "× cat", "MiB resident");
  for (const [name, samples, first] of await interleave(rows)) {
    const cells = (["rate", "cpu"] as const).flatMap((what) => {
      const one = samples.map((sample) => sample[what]);
      const other = first.map((sample) => sample[what]);
      return [show(spreadOf(one), 2), show(ratiosOf(one, other), 2)];
    });
    const resident = Math.max(...samples.map((sample) => sample.resident));
    print(row(...name, ...cells, resident.toFixed(0)));
  }
}

/** What each gave, and what the first one did: a sample a round. */
async function interleave<T>(
  rows: readonly Contender<T>[],
): Promise<[readonly string[], T[], T[]][]> {
  const samples = rows.map((): T[] => []);
  for (let round = -1; round < repeat; round++)
    for (let turn = 0; turn < rows.length; turn++) {
      const index = (round + 1 + turn) % rows.length;
      const sample = await rows[index]?.measure();
      if (round >= 0 && sample !== undefined) samples[index]?.push(sample);
    }
  return rows.map(({ name }, index) => [name, samples[index] ?? [], samples[0] ?? []]);
}

/** Each with its name: a line for the shell, to which its socket is added; undefined: there is none. */
async function startAll(
  device: Device,
  lines: readonly (readonly [name: string, line: string | undefined])[],
): Promise<Server[]> {
  const started: Server[] = [];
  for (const [name, line] of lines)
    if (line !== undefined)
      started.push(await start(name, join(folder, `${name}-${device}`), line));
  return started;
}

/** It runs until we end. */
async function start(name: string, socket: string, line: string): Promise<Server> {
  const command = ["sh", "-c", `exec ${line} ${socket}`];
  const server = Bun.spawn(command, { stdout: "ignore", stderr: "inherit" });
  process.on("exit", () => server.kill());
  if (!(await untilListening({ transport: "unix", at: socket }, server)))
    throw new Error(`${line} did not listen`);
  return { name, socket };
}

/** The sender is a line for the shell, which becomes it. */
async function send(sender: (port: number) => string): Promise<Sample> {
  const port = nextPort++;
  const receiver = Bun.spawn([referenceProgram, "recv", `${port}`], { stderr: "inherit" });
  if (!(await untilListening({ transport: "tcp", at: `${port}` }, receiver)))
    throw new Error("the receiver did not listen");
  const began = performance.now();
  const child = Bun.spawn(["bash", "-c", sender(port)], { stderr: "inherit" });
  const peak = watchPeak(child);
  const codes = await Promise.all([child.exited, receiver.exited]);
  const seconds = (performance.now() - began) / 1e3;
  if (codes.some((code) => code !== 0)) throw new Error(`exit ${codes.join(" and ")}`);
  const cpuSeconds = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return {
    rate: size / GiB / seconds,
    cpu: cpuSeconds / (size / GiB),
    resident: await peak,
  };
}

/**
 * MiB, of the memory that it has since execve(2): proc_pid_status(5), VmHWM. wait4(2)'s figure has in it
 * what was resident before, and that is us.
 */
async function watchPeak(child: Bun.Subprocess): Promise<number> {
  let kilobytes = 0;
  while (child.exitCode === null && child.signalCode === null) {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    kilobytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? kilobytes);
    await Bun.sleep(pollMs);
  }
  return kilobytes / 1024;
}

function heading(...cells: string[]): void {
  print(row(...cells));
  print(row(...cells.map(() => "---")));
}

function row(...cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function show({ median, min, max }: Spread, digits: number): string {
  const [one, least, most] = [median, min, max].map((value) => value.toFixed(digits));
  return `${one} (${least} to ${most})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
