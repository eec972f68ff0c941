/** zc doctor: a line for each feature. */
import { type Paint, painter } from "../color.ts";
import { defineCommand } from "../command.ts";
import { diagnose, type Finding, type Verdict } from "../doctor/index.ts";
import { printable } from "../errors.ts";
import { printResult } from "../print.ts";
import { interruptible } from "../signals.ts";

const options = {
  json: { flag: "--json", text: "the findings as one JSON object" },
  noColor: { flag: "--no-color", text: "no colours" },
} as const;

export const command = defineCommand({
  usage: "",
  text: "Try out what this machine can do without copying.",
  options,
  examples: [],
  run: (_args, { json, noColor }) =>
    interruptible(async (signal) => {
      const paint = painter("result", !noColor);
      const findings: Finding[] = [];
      for await (const finding of diagnose(signal)) {
        findings.push(finding);
        if (!json) printResult(findingLines(finding, paint));
      }
      if (json) printResult(JSON.stringify({ findings }));
      return 0;
    }),
});

const words: Record<Verdict, string> = {
  works: "works",
  copies: "works, but copies",
  missing: "missing",
};
const colors = { works: "green", copies: "yellow", missing: "red" } as const;
const featureWidth = 20;
const verdictWidth = 17;

function findingLines({ feature, verdict, detail, mend }: Finding, paint: Paint): string {
  const word = paint(colors[verdict], words[verdict].padEnd(verdictWidth));
  const line = `${feature.padEnd(featureWidth)}  ${word}  ${printable(detail)}`;
  if (mend === undefined) return line;
  return `${line}\n${" ".repeat(featureWidth + 2)}${" ".repeat(verdictWidth)}  -> ${mend}`;
}
