/** What all that read a stream have in common. */
import type { OptionValues } from "../../command.ts";
import { usageError, ZcError } from "../../errors.ts";
import { pageSizeDefault } from "../../migration/format.ts";
import { type ParserOptions, StreamParser } from "../../migration/parser.ts";
import { Ram } from "../../migration/ram.ts";
import { readStream } from "../../migration/read.ts";
import { printNote, printResult } from "../../print.ts";
import { interruptible } from "../../signals.ts";
import { formatSize, parseSize } from "../../units.ts";

export const streamOptions = {
  pageSize: {
    flag: "--page-size <size>",
    text: `of the guest's pages, where the stream does not say (${formatSize(pageSizeDefault)})`,
    parse: parsePageSize,
  },
  offset: {
    flag: "--offset <size>",
    text: "where the stream begins in its file, as in QEMU's file:NAME,offset=…",
    parse: (text: string, name: string) => parseSize(text, name),
  },
} as const;

export interface StreamOptions extends OptionValues<typeof streamOptions> {
  /** Pages whose contents are kept; undefined: nobody looks at contents. */
  readonly samplePages?: number;
}

interface Read {
  readonly ram: Ram;
  /** Of the whole stream, and of its file. */
  readonly bytes: number;
}

/** Reads FILE through a parser; `using` the RAM is the caller's. */
export async function readThrough(
  file: string | undefined,
  ram: Ram,
  { offset }: StreamOptions,
  handlers: Omit<ParserOptions, "ram" | "begin">,
  signal: AbortSignal,
): Promise<Read> {
  const parser = new StreamParser({ ...handlers, ram, begin: offset });
  await readStream(file, parser, signal);
  return { ram, bytes: parser.offset };
}

export function openRam({ pageSize = pageSizeDefault, samplePages }: StreamOptions): Ram {
  return new Ram(pageSize, samplePages);
}

/** Runs it until it ends, or is ended; with --json an error is JSON too. */
export function runJson(
  isJson: boolean,
  action: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  return interruptible(async (signal) => {
    try {
      return await action(signal);
    } catch (error) {
      if (!isJson || !(error instanceof ZcError)) throw error;
      printNote(error.toLine());
      printResult(JSON.stringify({ error: error.toJSON() }));
      return error.exitCode;
    }
  });
}

function parsePageSize(text: string, name: string): number {
  const size = parseSize(text, name);
  const isPower = Number.isInteger(Math.log2(size));
  if (!isPower || size < 1024 || size > 65536)
    throw usageError(name, `"${text}" is no page's size`, "1K to 64K, for example 4K");
  return size;
}
