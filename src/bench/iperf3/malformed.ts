/** Errors about what an iperf3 peer said. */
import type * as z from "zod";
import { printable, ZcError } from "../../errors.ts";

/** Characters of what was found that an error shows. */
const foundMax = 40;

/** `what` names the message: "parameters", "cookie". */
export function malformed(what: string, expected: string, found: string): ZcError {
  const short = found.length > foundMax ? `${found.slice(0, foundMax)}…` : found;
  return new ZcError({
    code: "PROTOCOL",
    subject: `iperf3 ${what}`,
    reason: `expected ${expected}, found ${printable(short)}`,
  });
}

/** The first of the issues, of a schema whose messages say what they expect. */
export function misfit(what: string, { issues }: z.ZodError, value: unknown): ZcError {
  const path = issues[0]?.path ?? [];
  const found = path.reduce<unknown>((inner, key) => Object(inner)[key], value);
  return malformed([what, ...path].join(" "), issues[0]?.message ?? "", describe(found));
}

/** Never the whole: it may be megabytes. */
function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? `"${value}"` : String(value);
}
