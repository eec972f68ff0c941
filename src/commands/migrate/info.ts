/** zc migrate info: what a stream is, and what is in it. */
import { defineCommand } from "../../command.ts";
import { infoText } from "../../migration/report/info-text.ts";
import { Summary } from "../../migration/report/summary.ts";
import { printResult } from "../../print.ts";
import { runJson } from "../run-json.ts";
import { openRam, readThrough, streamOptions } from "./stream.ts";

/** 4 MiB of pages, of which zstd's gain is told. */
const samplePages = 1024;

const options = {
  contents: {
    flag: "--contents",
    text: "look at what pages have in them: how many differ, what zstd would leave",
  },
  ...streamOptions,
  json: { flag: "--json", text: "one JSON object" },
} as const;

export const command = defineCommand({
  usage: "[FILE]",
  text: "Tell what is in the stream in FILE, or standard input: machine, RAM, pages, devices.",
  options,
  examples: [
    "zc migrate info vm.stream",
    "zc migrate info --contents vm.stream",
    "zc recv :5000 | zc migrate info --json",
    "zc migrate info --offset 4K vm.mapped",
  ],
  run: ([file], values) =>
    runJson(values.json, async (signal) => {
      const summary = new Summary();
      using ram = openRam({ ...values, ...(values.contents && { samplePages }) });
      const onElement = summary.take.bind(summary);
      const onDeviceState = summary.takeDeviceState.bind(summary);
      const handlers = { onElement, onDeviceState };
      const bytes = await readThrough(file, ram, values, handlers, signal);
      const info = summary.info(ram, bytes);
      printResult(values.json ? JSON.stringify(info) : infoText(info));
      return 0;
    }),
});
