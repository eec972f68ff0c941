/**
 * test/bench/send-zc: a second of sends over loopback from a megabyte of registered memory, by
 * liburing's examples/send-zerocopy and by zc bench's senders; what is received is dropped in the
 * socket by both. The example has no other rate than its own; it is taken from the bytes it counts.
 */
import { writeSync } from "node:fs";
import { release } from "node:os";
import { parseArgs } from "node:util";
import { benchResultSchema } from "../../src/bench/result.schema.ts";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { GiB, parseSize } from "../../src/units.ts";
import { start, zc } from "../support/zc.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "7" },
    sizes: { type: "string", default: "16K,64K,256K,1M" },
    example: { type: "string", default: "" },
  },
});

/** GiB a second. */
type Measure = (size: number) => Promise<number>;

const contenders: readonly (readonly [name: string, measure: Measure])[] = [
  ["send-zerocopy -n 1 -z 1 -b 1 -d", byExample],
  ["zc bench --modes io-uring", (size) => byBench("io-uring", size)],
  ["zc bench --modes msg-zerocopy", (size) => byBench("msg-zerocopy", size)],
];

let port = 5600;
const seconds = 1;

print(`Linux ${release()}, ${values.repeat} rounds of ${seconds} s.\n`);
print("| bytes a send | | GiB/s | over the example | over msg-zerocopy |");
print("| --- | --- | --- | --- | --- |");
for (const text of values.sizes.split(",")) await compare(text);
process.exit(0);

async function compare(text: string): Promise<void> {
  const size = parseSize(text, "--sizes");
  const rates = contenders.map((): number[] => []);
  for (let round = 0; round < Number(values.repeat); round++)
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length;
      const rate = await contenders[index]?.[1](size);
      if (rate !== undefined) rates[index]?.push(rate);
    }
  const [example = [], , selftest = []] = rates;
  for (const [index, [name]] of contenders.entries()) {
    const own = rates[index] ?? [];
    const over = [example, selftest].map((other) =>
      other === own ? "" : show(ratiosOf(own, other)),
    );
    print(`| ${[index === 0 ? text : "", name, show(spreadOf(own)), ...over].join(" | ")} |`);
  }
}

/** "packets=1008 (MB=62), rps=4540 (MB/s=279)"; it counts what its socket took. */
async function byExample(size: number): Promise<number> {
  const at = `${port++}`;
  const common = ["-4", "-D", "127.0.0.1", "-p", at, "-t", `${seconds}`];
  const receiver = start(values.example, ["-R", ...common, "tcp"]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const sending = [...common, "-s", `${size}`, "-n", "1", "-z", "1", "-b", "1", "-d", "tcp"];
  const { stdout } = await start(values.example, sending).result;
  await receiver.result;
  const packets = /packets=(\d+)/.exec(stdout.toString())?.[1];
  const rps = /rps=(\d+)/.exec(stdout.toString())?.[1];
  if (packets === undefined || rps === undefined) throw new Error(stdout.toString());
  return (Number(rps) * size) / GiB;
}

async function byBench(mode: string, size: number): Promise<number> {
  const { stdout, stderr } = await zc([
    ...["bench", "--transport", "tcp", "--modes", mode, "--rx-modes", "discard"],
    ...["--sizes", `${size}`, "--time", `${seconds}s`, "--repeat", "1", "--source", "1M", "--json"],
  ]);
  const { cells } = benchResultSchema.parse(JSON.parse(stdout.toString()));
  const cell = cells.find((one) => one.mode === mode && one.size === size);
  if (cell?.summary === undefined) throw new Error(stderr);
  return cell.summary.bytesPerSecond.median / GiB;
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(text: string): void {
  writeSync(1, `${text}\n`);
}
