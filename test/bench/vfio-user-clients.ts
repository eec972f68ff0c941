/** The two clients: each asks a server on a socket, and tells how fast it was. */
import { join } from "node:path";
import { GiB } from "../../src/units.ts";
import type { BenchResult } from "../../src/vfio-user/bench.ts";
import { launcher } from "../support/zc.ts";

/** Of test/bench/vfio-user-reference.c. */
export const referenceClient = join(import.meta.dirname, "..", ".out", "vfio-user-reference");
/** Bytes a read of a region, and of migration data. */
export const readSize = 4;
export const pieceSize = 1 << 20;

/** A second. */
export async function referenceReads(
  socket: string,
  region: number,
  timeMs: number,
): Promise<number> {
  const arguments_ = ["reads", socket, `${region}`, `${readSize}`, `${timeMs}`];
  const [reads = 0, seconds = 0] = numbers(await run([referenceClient, ...arguments_]));
  return reads / seconds;
}

/** A second. */
export async function zcReads(
  socket: string,
  region: number,
  { depth, timeMs }: { depth: number; timeMs: number },
): Promise<number> {
  const what = ["--region", `bar${region}`, "--size", `${readSize}`, "--depth", `${depth}`];
  const { reads } = await zcBench(socket, [...what, "--time", `${timeMs}ms`]);
  return reads.perSecond;
}

/** GiB a second; throws unless all `size` bytes came. */
export async function referenceState(socket: string, size: number): Promise<number> {
  const [bytes = 0, seconds = 0] = numbers(
    await run([referenceClient, "state", socket, `${pieceSize}`]),
  );
  return assertAll(bytes, size) / GiB / seconds;
}

/** Likewise. */
export async function zcState(socket: string, size: number): Promise<number> {
  const { migration } = await zcBench(socket, ["--migration", "--time", "1ms"]);
  return assertAll(migration?.bytes ?? 0, size) / GiB / (migration?.seconds ?? 0);
}

async function zcBench(socket: string, options: readonly string[]): Promise<BenchResult> {
  return JSON.parse(await run([launcher, "vfio-user", "bench", socket, ...options, "--json"]));
}

async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}`);
  return text;
}

function numbers(line: string): number[] {
  return line.trim().split(" ").map(Number);
}

function assertAll(bytes: number, size: number): number {
  if (bytes < size) throw new Error(`${bytes} of ${size} bytes came`);
  return bytes;
}
