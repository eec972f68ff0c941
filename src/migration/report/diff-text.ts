/** How two machines differ, for people. Pure. */
import { printable } from "../../errors.ts";
import { formatCount } from "../../units.ts";
import { hex } from "../stream/malformed.ts";
import type { StreamDiff } from "./diff.schema.ts";

const rangesShown = 8;
const valueMax = 60;

export function diffText({ same, machines, blocks, fields, missing }: StreamDiff): string {
  if (same) return "no difference";
  const lines = [
    ...(machines ? [`machine: ${machines.first ?? "none"} → ${machines.second ?? "none"}`] : []),
    ...missing.map(({ kind, name, in: where }) => `${kind} ${name}: only in the ${where}`),
    ...blocks.map(blockLine),
    ...fields.map(
      ({ device, instance, field, first, second }) =>
        `${device} ${instance}${field === "" ? "" : ` ${field}`}: ${valueText(first)} → ${valueText(second)}`,
    ),
  ];
  return lines.map(printable).join("\n");
}

function blockLine({
  name,
  pages,
  different,
  ranges,
  sizes,
}: StreamDiff["blocks"][number]): string {
  const shown = ranges
    .slice(0, rangesShown)
    .map(({ start, length }) => `${hex(start)} to ${hex(start + length - 1)}`);
  const more = ranges.length > rangesShown ? ", …" : "";
  const resized = sizes ? ` (${sizes.first} → ${sizes.second} bytes)` : "";
  return `RAM ${name}${resized}: ${formatCount(different)} of ${formatCount(pages)} pages: ${shown.join(", ")}${more}`;
}

function valueText(value: unknown): string {
  const text = value === null ? "none" : String(value);
  return text.length > valueMax ? `${text.slice(0, valueMax)}…` : text;
}
