/** zc migrate verify: a stream held against what it says of itself. */
import { defineCommand } from "../../command.ts";
import { ZcError } from "../../errors.ts";
import { Verifier } from "../../migration/report/verify.ts";
import { printNote } from "../../print.ts";
import { runJson } from "../run-json.ts";
import { openRam, readThrough, streamOptions } from "./stream.ts";

const options = {
  ...streamOptions,
  quiet: { flag: "-q, --quiet", text: "print nothing but errors" },
} as const;

export const command = defineCommand({
  usage: "[FILE]",
  text: "Read the stream in FILE, or standard input, to its last byte: exit 4 if anything is wrong.",
  options,
  examples: ["zc migrate verify vm.stream"],
  run: ([file], values) =>
    runJson(false, async (signal) => {
      using ram = openRam(values);
      const verifier = new Verifier();
      const onElement = verifier.take.bind(verifier);
      const bytes = await readThrough(file, ram, values, { onElement }, signal);
      const { problems, checked } = verifier.result(ram);
      for (const problem of problems.slice(1)) printNote(`zc: ${problem}`);
      const [first] = problems;
      if (first !== undefined)
        throw new ZcError({ code: "PROTOCOL", operation: "verify", reason: first });
      if (!values.quiet) printNote(`zc: ${bytes} bytes, and nothing wrong: ${checked}`);
      return 0;
    }),
});
