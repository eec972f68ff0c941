/** zc bench compare: two results, of two kernels or machines perhaps. */
import { readFileSync } from "node:fs";
import { compareResults } from "../../bench/compare.ts";
import { comparisonText } from "../../bench/report/comparison.ts";
import { benchResultSchema } from "../../bench/result.schema.ts";
import type { BenchResult } from "../../bench/result.ts";
import { painter } from "../../color.ts";
import { defineCommand } from "../../command.ts";
import { ZcError } from "../../errors.ts";
import { reading } from "../../files.ts";
import { parseJson } from "../../json.ts";
import { printResult } from "../../print.ts";

const options = {
  json: { flag: "--json", text: "the comparison as one JSON object" },
  noColor: { flag: "--no-color", text: "no colours" },
} as const;

export const command = defineCommand({
  usage: "BEFORE AFTER",
  text: "Hold two results of `zc bench --json` against each other, and test which cells differ.",
  options,
  examples: ["zc bench compare old-kernel.json new-kernel.json"],
  run: async ([before = "", after = ""], { json, noColor }) => {
    const comparison = compareResults(readResult(before), readResult(after));
    printResult(
      json ? JSON.stringify(comparison) : comparisonText(comparison, painter("result", !noColor)),
    );
    return 0;
  },
});

/** All of the file, or its last line, where `zc bench --json` puts it. Throws READ_SOURCE, PROTOCOL. */
function readResult(file: string): BenchResult {
  const text = reading(file, () => readFileSync(file, "utf8")).trimEnd();
  const found = parseJson(text) ?? parseJson(text.split("\n").at(-1) ?? "");
  const { success, data } = benchResultSchema.safeParse(found);
  if (success) return data;
  throw new ZcError({
    code: "PROTOCOL",
    operation: "read",
    subject: file,
    reason: "it is no result of `zc bench --json`",
    hint: "zc schema bench",
  });
}
