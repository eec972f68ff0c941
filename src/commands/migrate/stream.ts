/** What all that read a stream have in common. */
import { statSync } from "node:fs";
import type { OptionValues } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { Ram } from "../../migration/ram/ram.ts";
import { openCapture } from "../../migration/reading/capture.ts";
import { type IngestOptions, ingest } from "../../migration/reading/ingest.ts";
import { pageSizeDefault } from "../../migration/stream/format.ts";
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
  channels: {
    flag: "--channels <files>",
    text: "captured channels, of multifd or for a postcopy's urgent pages: one,two",
    parse: (text: string) => text.split(","),
  },
} as const;

export interface StreamOptions extends OptionValues<typeof streamOptions> {
  /** Pages whose contents are kept; undefined: nobody looks at contents. */
  readonly samplePages?: number;
}

export type Handlers = Pick<
  IngestOptions,
  "onElement" | "onBlock" | "onBulk" | "onDeviceState" | "between"
>;

/** Reads FILE, and resolves with the bytes of its stream. */
export async function readThrough(
  file: string | undefined,
  ram: Ram,
  { offset, channels }: StreamOptions,
  handlers: Handlers,
  signal: AbortSignal,
): Promise<number> {
  return ingest({ ...handlers, ...placesOf(file, channels), ram, begin: offset, signal });
}

/** A folder is a capture: its files are the channels. Throws READ_SOURCE, PROTOCOL. */
export function placesOf(
  file: string | undefined,
  channels: readonly string[] = [],
): { readonly file: string | undefined; readonly channels: readonly string[] } {
  const isFolder = file !== undefined && isKind(file, "isDirectory");
  if (!isFolder) return { file, channels };
  const capture = openCapture(file);
  return { file: capture.main, channels: capture.channels };
}

/** What is not there is of no kind. */
export function isKind(file: string, kind: "isFile" | "isDirectory"): boolean {
  return statSync(file, { throwIfNoEntry: false })?.[kind]() === true;
}

export function openRam({ pageSize = pageSizeDefault, samplePages }: StreamOptions): Ram {
  return new Ram(pageSize, samplePages);
}

function parsePageSize(text: string, name: string): number {
  const size = parseSize(text, name);
  const isPower = Number.isInteger(Math.log2(size));
  if (!isPower || size < 1024 || size > 65536)
    throw usageError(name, `"${text}" is no page's size`, "1K to 64K, for example 4K");
  return size;
}
