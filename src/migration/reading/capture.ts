/** A folder of captured connections: which of its files is the main channel, which are multifd's. */
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { ZcError } from "../../errors.ts";
import { reading } from "../../files.ts";
import { magic } from "../stream/format.ts";
import { multifdMagic } from "../stream/multifd.ts";

export interface Capture {
  readonly main: string;
  readonly channels: readonly string[];
}

const filesMax = 1024;

/** By their first four bytes, as QEMU's receiver tells them. Throws READ_SOURCE, PROTOCOL. */
export function openCapture(folder: string): Capture {
  const files = reading(folder, () => readdirSync(folder)).slice(0, filesMax);
  const beginnings = files.sort().map((name) => {
    const file = join(folder, name);
    return { file, begin: reading(file, () => firstWord(file)) };
  });
  const withBegin = (word: number) =>
    beginnings.filter(({ begin }) => begin === word).map(({ file }) => file);
  const [main, ...others] = withBegin(magic);
  if (main === undefined || others.length > 0)
    throw new ZcError({
      code: "PROTOCOL",
      operation: "read",
      subject: folder,
      reason: main === undefined ? "no file is a migration stream" : "two files are streams",
    });
  return { main, channels: withBegin(multifdMagic) };
}

function firstWord(file: string): number | undefined {
  const fd = openSync(file, "r");
  try {
    const word = Buffer.alloc(4);
    return readSync(fd, word, 0, 4, 0) === 4 ? word.readUInt32BE() : undefined;
  } finally {
    closeSync(fd);
  }
}
