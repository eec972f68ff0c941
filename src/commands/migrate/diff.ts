/** zc migrate diff: two streams, or one machine at two times. */
import { tmpdir } from "node:os";
import { defineCommand } from "../../command.ts";
import { diffSnapshots, Snapshot } from "../../migration/report/diff.ts";
import { diffText } from "../../migration/report/diff-text.ts";
import { printResult } from "../../print.ts";
import { runJson } from "../run-json.ts";
import { openRam, streamOptions } from "./stream.ts";

const options = {
  pageSize: streamOptions.pageSize,
  json: { flag: "--json", text: "one JSON object" },
} as const;

/** As diff(1) and cmp(1) end. */
const differentExitCode = 1;

export const command = defineCommand({
  usage: "FIRST SECOND",
  text: "Tell how two machines differ: devices by field, RAM by page. Exit 0: they do not, 1: they do.",
  options,
  examples: [
    "zc migrate diff before.stream after.stream",
    "zc migrate diff vm.stream vm.mapped --json",
  ],
  run: ([first, second], values) =>
    runJson(values.json, async (signal) => {
      using rams = new DisposableStack();
      const open = () => {
        const ram = rams.use(openRam({ ...values, offset: undefined, channels: undefined }));
        return rams.use(new Snapshot(ram, tmpdir()));
      };
      const [one, other] = [open(), open()];
      await one.read({ file: first, signal });
      await other.read({ file: second, signal });
      const diff = diffSnapshots(one, other);
      printResult(values.json ? JSON.stringify(diff) : diffText(diff));
      return diff.same ? 0 : differentExitCode;
    }),
});
