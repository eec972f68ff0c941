/** zc migrate decode: every element, in order. */
import { defineCommand, oneOf } from "../../command.ts";
import { type Described, Describer } from "../../migration/describer.ts";
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
      const onElement = describer.take.bind(describer);
      try {
        await readThrough(file, ram, values, { onElement }, signal);
      } finally {
        describer.end();
      }
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
