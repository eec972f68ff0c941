/** zc migrate decode: every element, in order. */
import { defineCommand, type OptionValues, oneOf } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { Images } from "../../migration/ram/images.ts";
import { readStream } from "../../migration/reading/read.ts";
import type { ElementJson } from "../../migration/report/element.schema.ts";
import { deviceStateJson, toJson } from "../../migration/report/json.ts";
import { toTree } from "../../migration/report/tree.ts";
import { type Described, Describer } from "../../migration/stream/describer.ts";
import type { DeviceState } from "../../migration/stream/device-state.ts";
import type { Block, Element } from "../../migration/stream/elements.ts";
import { ReturnPathParser } from "../../migration/stream/return-path.ts";
import { ArchiveWriter } from "../../migration/writing/archive.ts";
import { withResults } from "../../results.ts";
import { runJson } from "../run-json.ts";
import { type Handlers, isKind, openRam, placesOf, readThrough, streamOptions } from "./stream.ts";

const options = {
  format: {
    flag: "--format <format>",
    text: "json, an object a line, or tree (json)",
    parse: oneOf(["json", "tree"]),
  },
  archive: {
    flag: "--archive <dir>",
    text: "write all of it there, without loss, instead of printing it",
    parse: (text: string) => text,
  },
  ram: {
    flag: "--ram <dir>",
    text: "write RAM images there, a sparse file a block",
    parse: (text: string) => text,
  },
  device: {
    flag: "--device <name>",
    text: "this device's sections alone",
    parse: (text: string) => text,
  },
  returnPath: {
    flag: "--return-path",
    text: "FILE is what a destination answered: postcopy's other direction",
  },
  ...streamOptions,
} as const;

export const command = defineCommand({
  usage: "[FILE]",
  text: "Print every element of the stream in FILE, or standard input, with its offset and fields.",
  options,
  examples: [
    "zc migrate decode vm.stream | jq 'select(.type == \"full\") | .fields'",
    "zc migrate decode --format tree --device cpu vm.stream",
    "zc migrate decode --ram images vm.stream > elements.ndjson",
    "zc migrate decode --archive archive vm.stream",
  ],
  run: ([file], values) => {
    const { archive, format, device } = values;
    if (archive !== undefined && (format !== undefined || device !== undefined))
      throw usageError("--archive", "it has everything: --format and --device are for printing");
    if (values.returnPath) return decodeReturnPath(file);
    return runJson(format !== "tree" && archive === undefined, async (interrupt) => {
      using ram = openRam(values);
      using images = values.ram === undefined ? undefined : new Images(values.ram);
      const onBlock = images && ((block: Block) => images.add(ram, block));
      const read: Read = (handlers, signal) =>
        readThrough(file, ram, values, { ...handlers, onBlock }, signal);
      if (archive === undefined) await printElements(read, values, interrupt);
      else await writeArchive(read, archive, placesOf(file, values.channels).channels, interrupt);
      images?.commit();
      return 0;
    });
  },
});

function decodeReturnPath(file: string | undefined): Promise<number> {
  return runJson(true, (interrupt) =>
    withResults(interrupt, async (results, signal) => {
      const parser = new ReturnPathParser((answer) => results.print(JSON.stringify(answer)));
      await readStream(file, parser, { signal, between: async () => results.room() });
      return 0;
    }),
  );
}

type Read = (handlers: Handlers, signal: AbortSignal) => Promise<number>;

/** Resolves when all is out. */
function printElements(
  read: Read,
  { device, format }: OptionValues<typeof options>,
  interrupt: AbortSignal,
): Promise<void> {
  const toText = format === "tree" ? treeText : JSON.stringify;
  return withResults(interrupt, async (results, signal) => {
    const describer = new Describer((described) => {
      if (isWanted(described, device)) results.print(toText(toJson(described)));
    });
    const onElement = (element: Element) => describer.take(element);
    const onDeviceState = (state: DeviceState) => {
      describer.end(); // the elements before it
      if (device === undefined || state.name === device)
        results.print(toText(deviceStateJson(state)));
    };
    try {
      await read({ onElement, onDeviceState, between: async () => results.room() }, signal);
    } finally {
      describer.end();
    }
  });
}

async function writeArchive(
  read: Read,
  folder: string,
  channels: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const pipe = channels.find((file) => !isKind(file, "isFile"));
  if (pipe !== undefined) throw usageError("--archive", `${pipe} is no file, and is read once`);
  using writer = new ArchiveWriter(folder);
  for (const file of channels) await writer.addChannel(file, signal);
  const handlers: Handlers = {
    onElement: (element) => writer.take(element),
    onBulk: (bytes) => writer.takeBulk(bytes),
  };
  await read(handlers, signal);
  writer.commit();
}

function isWanted({ element }: Described, device: string | undefined): boolean {
  return (
    device === undefined || ("name" in element && "payload" in element && element.name === device)
  );
}

function treeText(json: ElementJson): string {
  return toTree(json).join("\n");
}
