/**
 * Printing that leaves descriptors as they are. (process.stdout and process.stderr make a pipe
 * non-blocking for every process that shares it, and console swallows EPIPE.)
 */
import { writeSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../ffi/library.ts";
import { describe } from "./descriptor.ts";
import { errnoOf, ZcError } from "./errors.ts";

/** What was asked for: standard output. Throws WRITE_SINK. */
export function printResult(text: string): void {
  writeAll(1, `${text}\n`);
}

/** For the person at the terminal: standard error. */
export function printNote(text: string): void {
  writeAll(2, `${text}\n`);
}

/** Without a line end: for a line that will be written over. */
export function printPartial(text: string): void {
  writeAll(2, text);
}

/** Whether a person reads it: node:tty would say so too, but takes milliseconds to load. */
export const isTerminal = { result: () => isTty(1), note: () => isTty(2) };

const columnsDefault = 110;

/** Characters a line of our results; process.stdout would say so, and leave the pipe non-blocking. */
export function resultColumns(): number {
  const columns = library().zc_fd_columns(1);
  return columns > 0 ? columns : columnsDefault;
}

const resultName = "the result";

/** WRITE_SINK: what was asked for cannot be written. */
export function resultError(errno: number | undefined): ZcError {
  return new ZcError({ code: "WRITE_SINK", operation: "write", subject: resultName, errno });
}

/** It is that error: nothing more can be said there. */
export function isResultLost(error: unknown): boolean {
  return error instanceof ZcError && error.code === "WRITE_SINK" && error.subject === resultName;
}

/** The reader of our standard output ended, as in `zc recv … | head`: nobody is to blame. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof ZcError && error.code === "WRITE_SINK" && error.errnoName === "EPIPE";
}

function isTty(fd: number): boolean {
  try {
    return describe(fd).kind === "tty";
  } catch {
    return false; // closed
  }
}

const fullPipePauseMs = 5;

function writeAll(fd: number, text: string): void {
  let bytes: Uint8Array = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const errno = errnoOf(error);
      // Another process made the pipe non-blocking, and it is full.
      if (errno === constants.errno.EAGAIN) Bun.sleepSync(fullPipePauseMs);
      else if (fd === 2)
        return; // nobody listens to what is said beside the data
      else throw resultError(errno);
    }
  }
}
