/** test/bench/relay: what passes through zc relay, and what that costs it, against socat. */
import { mkdtempSync, rmSync, writeSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { GiB, parseSize } from "../../src/units.ts";
import { launcher, listening, zc } from "../support/zc.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    bytes: { type: "string", default: "1G" },
  },
});
const size = parseSize(values.bytes, "--bytes");
const folder = mkdtempSync("/dev/shm/zc-relay-");
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

interface Sample {
  /** GiB a second. */
  readonly rate: number;
  /** CPU seconds a GiB, of the relay alone, its start included. */
  readonly cpu: number;
}

type Transport = keyof typeof transports;
type Relay = (from: string, to: string, transport: Transport) => string[];

/** Addresses as zc and as socat have them. */
const transports = {
  tcp: {
    address: (name: string) => `127.0.0.1:${name}`,
    listen: (name: string) => `TCP-LISTEN:${name},bind=127.0.0.1,reuseaddr`,
    connect: (name: string) => `TCP:127.0.0.1:${name}`,
  },
  unix: {
    address: (name: string) => `unix:${join(folder, name)}`,
    listen: (name: string) => `UNIX-LISTEN:${join(folder, name)}`,
    connect: (name: string) => `UNIX-CONNECT:${join(folder, name)}`,
  },
} as const;

const ours: Relay = (from, to, transport) => {
  const { address } = transports[transport];
  return [launcher, "relay", "-q", address(from), address(to)];
};

const socat: Relay = (from, to, transport) => {
  const { listen, connect } = transports[transport];
  return ["socat", `-b${1 << 20}`, listen(from), connect(to)];
};

print(`Linux ${release()}, ${values.repeat} rounds of ${values.bytes}.\n`);
print("| | GiB/s, zc | socat -b1048576 | ratio | CPU s/GiB, zc | socat | ratio |");
print("| --- | --- | --- | --- | --- | --- | --- |");
let port = 5300;
for (const transport of ["tcp", "unix"] as const) await compare(transport);
process.exit(0);

async function compare(transport: Transport): Promise<void> {
  const samples: Record<"ours" | "others", Sample[]> = { ours: [], others: [] };
  for (let round = 0; round < Number(values.repeat); round++) {
    const measureOurs = async () => samples.ours.push(await measure(ours, transport));
    const measureOther = async () => samples.others.push(await measure(socat, transport));
    const order = round % 2 === 0 ? [measureOurs, measureOther] : [measureOther, measureOurs];
    for (const one of order) await one();
  }
  const cells = (["rate", "cpu"] as const).flatMap((what) => {
    const one = samples.ours.map((sample) => sample[what]);
    const other = samples.others.map((sample) => sample[what]);
    return [spreadOf(one), spreadOf(other), ratiosOf(one, other)].map(show);
  });
  print(`| ${[transport, ...cells].join(" | ")} |`);
}

async function measure(relay: Relay, transport: Transport): Promise<Sample> {
  const [from, to] = [`${port++}`, `${port++}`];
  const { address } = transports[transport];
  const receiver = await listening(["recv", address(to), "/dev/null", "--json"]);
  const between = Bun.spawn(relay(from, to, transport), { stderr: "ignore" });
  await zc(["send", address(from), "/dev/zero", "--bytes", `${size}`, "--retry", "20s"]);
  const { stdout } = await receiver.result;
  await between.exited;
  const { bytes, seconds } = JSON.parse(stdout.toString());
  if (bytes !== size) throw new Error(`${bytes} of ${size} bytes arrived`);
  const cpu = Number(between.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return { rate: size / GiB / seconds, cpu: cpu / (size / GiB) };
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
