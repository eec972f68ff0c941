/** zc vfio-user bench: how fast a device answers. */
import { defineCommand, type OptionValues } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { printNote, printResult } from "../../print.ts";
import {
  formatCount,
  formatRate,
  formatTime,
  parseCount,
  parseDuration,
  parseSize,
} from "../../units.ts";
import { pciRegions } from "../../vfio/pci.ts";
import { type BenchResult, benchMigration, benchReads, depthMax } from "../../vfio-user/bench.ts";
import { replyTimeoutMsDefault } from "../../vfio-user/connection.ts";
import {
  jsonOption,
  parseOffset,
  parseRegion,
  quietOption,
  serverOptions,
  withClient,
} from "./server.ts";

const readSizeDefault = 4;
const depthDefault = 1;
const timeMsDefault = 2000;

const options = {
  region: { flag: "--region <region>", text: "that is read (config)", parse: parseRegion },
  offset: { flag: "--offset <offset>", text: "where in it (0)", parse: parseOffset },
  size: {
    flag: "--size <size>",
    text: `bytes a read (${readSizeDefault})`,
    parse: (text: string, name: string) => parseSize(text, name),
  },
  depth: {
    flag: "--depth <n>",
    text: `reads under way at once (${depthDefault}), up to ${depthMax}`,
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: depthMax }),
  },
  time: {
    flag: "--time <time>",
    text: `how long it reads (${timeMsDefault / 1000}s)`,
    parse: parseDuration,
  },
  migration: {
    flag: "--migration",
    text: "its migration data too: it is stopped for that, and runs again",
  },
  ...serverOptions,
  json: jsonOption,
  quiet: quietOption,
} as const;

export const command = defineCommand({
  usage: "SOCKET",
  text: [
    "Read a region over and over by messages, and tell how many reads a second the device answers.",
    "It is left as it was.",
  ].join("\n"),
  options,
  examples: [
    "zc vfio-user bench /run/device.sock --depth 16",
    "zc vfio-user bench /run/device.sock --region bar1 --size 4K --migration --json",
  ],
  run: ([server = ""], values) => {
    if (values.time === 0) throw usageError("--time", "it cannot be 0");
    const replyTimeoutMs = values.replyTimeout ?? replyTimeoutMsDefault;
    return withClient(server, values, async (client, signal) => {
      const reads = await benchReads(client, { ...readsOf(values), replyTimeoutMs }, signal);
      const migration = values.migration
        ? await benchMigration(client, replyTimeoutMs, signal)
        : undefined;
      const result = { socket: client.peer, reads, ...(migration && { migration }) };
      if (values.json) printResult(JSON.stringify(result));
      else for (const line of resultLines(result)) printResult(line);
      if (values.migration && migration === undefined && !values.quiet)
        printNote("zc: it has no migration data");
      return 0;
    });
  },
});

function readsOf(values: OptionValues<typeof options>) {
  return {
    region: values.region ?? pciRegions.config,
    offset: values.offset ?? 0n,
    size: values.size ?? readSizeDefault,
    depth: values.depth ?? depthDefault,
    durationMs: values.time ?? timeMsDefault,
  };
}

function resultLines({ reads, migration }: BenchResult): string[] {
  const { perSecond, size, depth, latencyNs } = reads;
  const times = (["p50", "p90", "p99", "max"] as const).map(
    (name) => `${name} ${latencyNs === undefined ? "?" : formatTime(latencyNs[name])}`,
  );
  const each = `${formatCount(Math.round(perSecond))} reads a second`;
  return [
    `${each}, of ${size} bytes, ${depth} at once; ${times.join(", ")}`,
    ...(migration
      ? [
          `migration data ${formatRate(migration.bytesPerSecond)}, ${formatCount(migration.bytes)} bytes`,
        ]
      : []),
  ];
}
