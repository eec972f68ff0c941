/** Elements as a tree, for people. Pure. */
import { printable } from "../../errors.ts";
import { hex } from "../stream/malformed.ts";
import type { ElementJson } from "./element.schema.ts";

const indent = "  ";
/** Of one value; a device's memory can be megabytes. */
const textMax = 160;

/** A line for the element, and under it one for each of its fields. */
export function toTree({ type, ...rest }: ElementJson): string[] {
  if (type === "error") return [];
  const { offset, length, ...others } = rest as { offset?: number; length?: number };
  const names = ["name", "machine", "id", "instance", "version"] as const;
  const { name, machine, id, instance, version, fields, ...details } = others as Partial<
    Record<(typeof names)[number] | "fields", unknown>
  >;
  const title = [
    ...[offset !== undefined && hex(offset), type, name ?? machine ?? ""],
    ...[id !== undefined && `id ${id}`, instance !== undefined && `instance ${instance}`],
    ...[version !== undefined && `version ${version}`],
    length !== undefined && `${length} bytes`,
  ];
  const head = title.filter((part) => part !== false && part !== "").join(" ");
  return [printable(head), ...linesOf(details, indent), ...linesOf(fields ?? {}, indent)];
}

function linesOf(values: object, before: string): string[] {
  return Object.entries(values).flatMap(([name, value]) => entryLines(name, value, before));
}

function entryLines(name: string, value: unknown, before: string): string[] {
  if (Array.isArray(value) && value.every((element) => !isNested(element)))
    return [line(name, value.map(String).join(" "), before)];
  if (isNested(value)) return [line(name, "", before), ...linesOf(value, before + indent)];
  return [line(name, String(value), before)];
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function line(name: string, text: string, before: string): string {
  const short = text.length > textMax ? `${text.slice(0, textMax)}… (${text.length})` : text;
  return `${before}${printable(name)}:${short === "" ? "" : ` ${printable(short)}`}`;
}
