/**
 * test/bench/lab: copy against msg-zerocopy where the kernel need not copy: vsock on a guest's local
 * CID, and TCP between two guests. Emulated: the ratios mean something, the absolute figures do not.
 */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { type Guest, GuestPair } from "../lab/guest.ts";
import { findKernel } from "../lab/kernels.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    bytes: { type: "string", default: "200000000" },
  },
});
const modes = ["copy", "msg-zerocopy"] as const;
const kernel = findKernel("newest");
if (typeof kernel === "string") throw new Error(kernel);

const pair = await GuestPair.boot(kernel);
const { one, two } = pair;
await one.run(`head -c ${values.bytes} /dev/urandom >/dev/shm/source`);
print(
  `Linux ${one.release} in QEMU, emulated; ${values.bytes} random bytes, ${values.repeat} rounds.\n`,
);
await compare("vsock, local CID", "vsock:1:5000", one);
await compare("TCP between two guests", "10.77.0.2:5000", two);
await pair.stop();
process.exit(0);

interface Sample {
  readonly seconds: number;
  readonly cpu: { readonly system: number };
  readonly zerocopy: {
    readonly completions: number;
    readonly copied: number;
    readonly unknown: number;
  };
}

async function compare(name: string, address: string, receiver: Guest): Promise<void> {
  const samples: Record<(typeof modes)[number], Sample[]> = { copy: [], "msg-zerocopy": [] };
  for (let round = 0; round < Number(values.repeat); round++) {
    for (const mode of round % 2 === 0 ? modes : modes.toReversed()) {
      samples[mode].push(await transfer(address, mode, receiver));
    }
  }
  const [copied, uncopied] = [samples.copy, samples["msg-zerocopy"]];
  const seconds = (of: Sample[]) => of.map((sample) => sample.seconds);
  const system = (of: Sample[]) => of.map(({ cpu }) => cpu.system);
  const share = uncopied.map(({ zerocopy: { copied, completions, unknown } }) => {
    return copied / (completions - unknown);
  });
  print(`### ${name}\n`);
  print("| | seconds, median (min to max) | sender's system seconds |\n| --- | --- | --- |");
  for (const mode of modes) {
    print(
      `| ${mode} | ${show(spreadOf(seconds(samples[mode])))} | ${show(spreadOf(system(samples[mode])))} |`,
    );
  }
  print(
    `\nmsg-zerocopy over copy: throughput × ${show(ratiosOf(seconds(copied), seconds(uncopied)))},`,
  );
  print(
    `system time × ${show(ratiosOf(system(uncopied), system(copied)))}, share of sends copied, of those that are known, ${show(spreadOf(share))}\n`,
  );
}

async function transfer(address: string, mode: string, receiver: Guest): Promise<Sample> {
  const [received, sent] = await Promise.all([
    receiver.run(`src/zc recv -q ${address} /dev/null`),
    one.run(`src/zc send --retry 60s --json --mode ${mode} ${address} /dev/shm/source`),
  ]);
  if (received.code !== 0 || sent.code !== 0) throw new Error(received.stderr + sent.stderr);
  return JSON.parse(sent.stdout.toString());
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
