/** test/bench/channel: writes a second, and what one costs, by each mode of a channel. */
import { release } from "node:os";
import { parseArgs } from "node:util";
import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import type { ChannelMode } from "../../src/channel/choose.ts";
import { openChannel, parseAddress } from "../../src/index.ts";
import { printResult } from "../../src/print.ts";
import { parseSize } from "../../src/units.ts";
import { listening } from "../support/zc.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    size: { type: "string", default: "200" },
    depth: { type: "string", default: "256" },
    count: { type: "string", default: "1000000" },
    to: { type: "string" },
  },
});
const size = parseSize(values.size, "--size");
const [depth, count] = [Number(values.depth), Number(values.count)];
const modes = ["auto", "msg-zerocopy", "io-uring", "copy"] as const;

interface Sample {
  /** Writes a second. */
  readonly rate: number;
  /** Microseconds of CPU a write, of the sending process. */
  readonly cpu: number;
}

const samples = new Map<ChannelMode, Sample[]>(modes.map((mode) => [mode, []]));
for (let round = 0; round < Number(values.repeat); round++) {
  for (let each = 0; each < modes.length; each++) {
    const mode = modes[(round + each) % modes.length] ?? "auto";
    samples.get(mode)?.push(await measure(mode));
  }
}
printResult(
  `Linux ${release()}, ${values.repeat} rounds: ${count} writes of ${size} bytes, depth ${depth}.\n`,
);
printResult("| | thousand writes/s | over auto | CPU µs a write | over auto |");
printResult("| --- | --- | --- | --- | --- |");
const auto = samples.get("auto") ?? [];
for (const [mode, own] of samples) {
  const cells = (["rate", "cpu"] as const).flatMap((key) => {
    const values = own.map((sample) => sample[key] / (key === "rate" ? 1000 : 1));
    const ratios = ratiosOf(
      own.map((sample) => sample[key]),
      auto.map((sample) => sample[key]),
    );
    return [show(spreadOf(values)), show(ratios)];
  });
  printResult(`| ${mode} | ${cells.join(" | ")} |`);
}
process.exit(0);

async function measure(mode: ChannelMode): Promise<Sample> {
  const receiver =
    values.to === undefined ? await listening(["recv", "127.0.0.1:0", "/dev/null"]) : undefined;
  const address = parseAddress(values.to ?? receiver?.address ?? "");
  const channel = await openChannel(address, { mode, depth, retryMs: 30_000 });
  const free = Array.from({ length: depth }, () => new Uint8Array(size));
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  for (let number = 0; number < count; number++) {
    const buffer = free.pop();
    if (buffer === undefined) throw new Error("there is room, but no buffer");
    void channel.write(buffer).then(({ buffers: [back] }) => back && free.push(back));
    if (free.length === 0) await channel.room();
  }
  await channel.close();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  await receiver?.result;
  return { rate: count / seconds, cpu: (user + system) / count };
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
