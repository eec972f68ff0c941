/** A folder of captured connections: which of its files is the main channel, and which are others. */
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { ZcError } from "../../errors.ts";
import { reading } from "../../files.ts";
import { magic } from "../stream/format.ts";
import { multifdMagic } from "../stream/multifd.ts";
import { isUrgent, urgentHeadLength } from "../stream/urgent.ts";

export interface Capture {
  readonly main: string;
  /** multifd's, or a postcopy's for urgent pages. */
  readonly channels: readonly string[];
}

const filesMax = 1024;

/** By what they begin with, as QEMU's receiver tells them. Throws READ_SOURCE, PROTOCOL. */
export function openCapture(folder: string): Capture {
  const names = reading(folder, () => readdirSync(folder)).slice(0, filesMax);
  const files = names.sort().map((name) => join(folder, name));
  const kinds = files.map((file) => kindOf(file));
  const ofKind = (kind: Kind) => files.filter((_, index) => kinds[index] === kind);
  const [main, ...others] = ofKind("stream");
  const urgent = ofKind("urgent");
  if (main === undefined) throw noCapture(folder, "no file is a migration stream");
  if (others.length > 0) throw noCapture(folder, "two files are streams");
  if (urgent.length > 1) throw noCapture(folder, "two files are of urgent pages");
  return { main, channels: [...ofKind("multifd"), ...urgent] };
}

/** Whether it has a postcopy's urgent pages. Throws READ_SOURCE. */
export function isUrgentFile(file: string): boolean {
  return kindOf(file) === "urgent";
}

type Kind = "stream" | "multifd" | "urgent";

/** Of files alone: what else is read has to be read once. */
function kindOf(file: string): Kind | undefined {
  return reading(file, () => {
    if (!statSync(file).isFile()) return undefined;
    const head = headOf(file);
    if (isUrgent(head)) return "urgent";
    const word = head.length < 4 ? undefined : Buffer.from(head).readUInt32BE();
    return word === magic ? "stream" : word === multifdMagic ? "multifd" : undefined;
  });
}

function headOf(file: string): Uint8Array {
  const fd = openSync(file, "r");
  try {
    const head = new Uint8Array(urgentHeadLength);
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}

function noCapture(folder: string, reason: string): ZcError {
  return new ZcError({ code: "PROTOCOL", operation: "read", subject: folder, reason });
}
