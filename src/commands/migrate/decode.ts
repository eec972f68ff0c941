/** zc migrate decode: every element, in order. */
import { defineCommand, oneOf } from "../../command.ts";
import { type Described, Describer } from "../../migration/describer.ts";
import type { Block } from "../../migration/elements.ts";
import { Images } from "../../migration/images.ts";
import { toJson } from "../../migration/json.ts";
import { toTree } from "../../migration/tree.ts";
import { printResult } from "../../print.ts";
import { openRam, readThrough, runJson, streamOptions } from "./stream.ts";

const options = {
  format: {
    flag: "--format <format>",
    text: "json, an object a line, or tree (json)",
    parse: oneOf(["json", "tree"]),
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
  ...streamOptions,
} as const;

export const command = defineCommand({
  usage: "[FILE]",
  text: "Print every element of the stream in FILE, or standard input, with its offset and fields.",
  options,
  examples: [
    "zc migrate decode vm.stream | jq 'select(.type == \"full\") | .fields'",
    "zc migrate decode --format tree --device cpu vm.stream",
  ],
  run: ([file], values) => {
    const isTree = values.format === "tree";
    return runJson(!isTree, async (signal) => {
      const describer = new Describer((described) => {
        if (isWanted(described, values.device)) print(described, isTree);
      });
      using ram = openRam(values);
      using images = values.ram === undefined ? undefined : new Images(values.ram);
      const onElement = describer.take.bind(describer);
      const onBlock = images && ((block: Block) => images.add(ram, block));
      try {
        await readThrough(file, ram, values, { onElement, onBlock }, signal);
      } finally {
        describer.end();
      }
      images?.commit();
      return 0;
    });
  },
});

function isWanted({ element }: Described, device: string | undefined): boolean {
  return (
    device === undefined || ("name" in element && "payload" in element && element.name === device)
  );
}

function print(described: Described, isTree: boolean): void {
  const json = toJson(described);
  printResult(isTree ? toTree(json).join("\n") : JSON.stringify(json));
}
