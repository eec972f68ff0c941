/** test/bench/run: zc against other tools, interleaved, in a network of its own. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { parseSize } from "../../src/units.ts";
import { type Case, cases } from "./cases.ts";
import { type Contender, contenders, type Place, referenceProgram } from "./contenders.ts";
import { measure, type Sample } from "./measure.ts";
import { type Results, table, verdicts } from "./report.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: cases.map(({ name }) => name).join(",") },
    contenders: { type: "string", default: contenders.map(({ name }) => name).join(",") },
    repeat: { type: "string", default: "7" },
    bytes: { type: "string", default: "4G" },
    json: { type: "string" },
  },
});
const bytes = parseSize(values.bytes, "--bytes");
const repeat = Number(values.repeat);
const firstPort = 5100;

buildReference();
const folder = mkdtempSync("/dev/shm/zc-bench-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
writeRandom(join(folder, "source"), bytes);

print(facts());
const raw: Record<string, Record<string, readonly (Sample | string)[]>> = {};
for (const subject of cases.filter(({ name }) => values.cases.split(",").includes(name))) {
  const results = await runCase(subject);
  raw[subject.name] = Object.fromEntries(results);
  print(table(subject, results, bytes));
  print(`${verdicts(subject, results).join("\n")}\n`);
}
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ bytes, repeat, raw }, null, 2));
process.exit(0);

/** Every round runs all contenders, each time another one first; every other round backwards. */
async function runCase(subject: Case): Promise<Results> {
  const field = contenders.filter((contender) => takesPart(contender, subject));
  const results = new Map<string, (Sample | string)[]>(field.map(({ name }) => [name, []]));
  for (let round = 0; round < repeat; round++) {
    const first = round % field.length;
    const rotated = [...field.slice(first), ...field.slice(0, first)];
    const order = round % 2 === 0 ? rotated : rotated.reverse();
    for (const [index, contender] of order.entries()) {
      const port = firstPort + ((round * field.length + index) % 1000);
      const at = subject.transport === "unix" ? join(folder, "socket") : `${port}`;
      const place: Place = { transport: subject.transport, at, bytes };
      const sample = await measure(contender, subject, place, folder);
      results.get(contender.name)?.push(sample);
      note(
        `${subject.name} ${round + 1}/${repeat} ${contender.name}: ${typeof sample === "string" ? sample : `${sample.seconds.toFixed(2)} s`}`,
      );
    }
  }
  return results;
}

function takesPart({ name, transports, memoryOnly, program }: Contender, subject: Case): boolean {
  if (!values.contenders.split(",").includes(name) || !transports.includes(subject.transport))
    return false;
  if (memoryOnly && (subject.source !== "file" || subject.sink !== "null")) return false;
  if (name === "reference" && subject.sink === "file") return false; // the limit there is the file system
  const installed = Bun.which(program) !== null;
  if (!installed) note(`${name}: not installed`);
  return installed;
}

function buildReference(): void {
  mkdirSync(dirname(referenceProgram), { recursive: true });
  const source = join(import.meta.dirname, "reference.c");
  const built = Bun.spawnSync(["cc", "-O2", "-D_GNU_SOURCE", "-o", referenceProgram, source]);
  if (!built.success) throw new Error(built.stderr.toString());
}

function writeRandom(path: string, size: number): void {
  const fd = openSync(path, "w");
  const block = new Uint8Array(1 << 20);
  for (let left = size; left > 0; left -= block.length) {
    for (let at = 0; at < block.length; at += 65536)
      crypto.getRandomValues(block.subarray(at, at + 65536));
    writeSync(fd, block, 0, Math.min(left, block.length));
  }
  closeSync(fd);
}

function facts(): string {
  const congestion = readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim();
  const cache = Bun.spawnSync(["getconf", "LEVEL3_CACHE_SIZE"]).stdout.toString().trim();
  return [
    `Linux ${release()}, ${cpus().length} × ${cpus()[0]?.model}, last-level cache ${Number(cache) >> 20} MiB,`,
    `TCP congestion control ${congestion}, ${values.bytes} of random bytes in tmpfs, ${repeat} rounds.`,
    "",
  ].join("\n");
}

function print(text: string): void {
  writeSync(1, `${text}\n`);
}

function note(text: string): void {
  writeSync(2, `${text}\n`);
}
