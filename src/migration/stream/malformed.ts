/** What is wrong with a stream, and where. */
import { ZcError } from "../../errors.ts";

export interface Malformed {
  /** Bytes from the stream's begin. */
  readonly offset: number;
  /** "a section type", "the footer of section 3". */
  readonly expected: string;
  readonly found: string;
  readonly hint?: string | undefined;
}

/** Exit code 4. */
export function malformed({ offset, expected, found, hint }: Malformed): ZcError {
  return new ZcError({
    code: "PROTOCOL",
    operation: "read the stream",
    subject: `at offset ${hex(offset)}`,
    reason: `expected ${expected}, found ${found}`,
    hint,
  });
}

/** It ended, where more was to come. */
export function truncated(offset: number, expected: string): ZcError {
  return new ZcError({
    code: "TRUNCATED",
    operation: "read the stream",
    subject: `at offset ${hex(offset)}`,
    reason: `expected ${expected}, found its end`,
  });
}

/** The same, said of a file that is not the main channel's. */
export function ofFile(error: unknown, file: string): unknown {
  const isPlaced = error instanceof ZcError && error.subject?.startsWith("at offset ");
  return isPlaced ? new ZcError({ ...error, subject: `${error.subject} of ${file}` }) : error;
}

/** A name out of the stream, which may be long, in a line that may not. */
export function quoted(name: string): string {
  return name.length > nameMax ? `"${name.slice(0, nameMax)}…"` : `"${name}"`;
}

const nameMax = 40;

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
