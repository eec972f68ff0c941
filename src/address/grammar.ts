/** What a transport's file says of its addresses. */
import type { ZcError } from "../errors.ts";

export interface TransportGrammar<A extends { readonly transport: string }> {
  /** A whole address that is right, for errors. */
  readonly example: string;
  /** From what follows "SCHEME:" or "SCHEME://". Throws what `wrong` makes. */
  parse(rest: string, wrong: Wrong): A;
  /** What follows "SCHEME:". */
  format(address: A): string;
}

/** Makes the error: which part is wrong, and an address that would be right. */
export type Wrong = (reason: string, example?: string) => ZcError;

/** "BEFORE:PORT", divided at the last colon; `form` says it for the error. */
export function splitPort(rest: string, form: string, wrong: Wrong): [string, string] {
  const colon = rest.lastIndexOf(":");
  if (colon === -1) throw wrong(`${form} is expected`);
  return [rest.slice(0, colon), rest.slice(colon + 1)];
}

/** A decimal number from 0 to `max`; `part` names it for the error. */
export function parseNumber(text: string, part: string, max: number, wrong: Wrong): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number <= max) return number;
  throw wrong(`the ${part} "${text}" is not a number from 0 to ${max}`);
}
