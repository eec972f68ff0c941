/** A benchmark as Markdown (CommonMark, with GitHub's tables). Pure. */
import { printable } from "../../errors.ts";
import type { BenchResult, MeasuredCell } from "../result.ts";
import { byTransport, failuresOf } from "./cells.ts";
import { type Facts, factsOf } from "./facts.ts";
import { type Table, tableOf } from "./table.ts";
import { failuresTitle, interruptedText } from "./words.ts";

export function toMarkdown(result: BenchResult, verdicts: readonly string[]): string {
  const blocks = [
    "# zc bench",
    list(factsOf(result).map(inOneLine)),
    result.isComplete ? "" : interruptedText,
    ...Array.from(byTransport(result)).flatMap(([name, cells]) => section(name, cells)),
    verdicts.length > 0 ? "## What it comes to" : "",
    list(verdicts),
  ];
  return `${blocks.filter(Boolean).join("\n\n")}\n`;
}

function section(transport: string, cells: readonly MeasuredCell[]): string[] {
  const failures = failuresOf(cells);
  return [
    `## ${escapeMarkdown(transport)}`,
    table(tableOf(cells)),
    failures.length > 0 ? `${failuresTitle}:` : "",
    list(failures),
  ];
}

function inOneLine({ title, facts }: Facts): string {
  return `${title}: ${facts.map(([name, value]) => `${name} ${value}`).join(", ")}`;
}

function table({ columns, rows }: Table): string {
  if (rows.length === 0) return "";
  const header = columns.map(({ name }) => escapeMarkdown(name));
  const alignment = columns.map(({ isNumber }) => (isNumber ? "---:" : "---"));
  return [header, alignment, ...rows.map((row) => row.map(escapeMarkdown))]
    .map((fields) => `| ${fields.join(" | ")} |`)
    .join("\n");
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${escapeMarkdown(item)}`).join("\n");
}

/** Text that stays what it is in a heading, a list or a table. */
function escapeMarkdown(text: string): string {
  return printable(text)
    .trim()
    .replace(/[\\`*_{}[\]<>|~&#$]/g, "\\$&")
    .replace(/^(\d+(?=[.)](?:\s|$))|(?=[-+=]))/, "$1\\");
}
