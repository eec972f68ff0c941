/** What is sent: a file, or whatever standard input is. */
import { closeSync, constants } from "node:fs";
import { type Descriptor, describe } from "../descriptor.ts";
import { ZcError } from "../errors.ts";
import { openFile } from "../files.ts";

/** Disposing closes what was opened for it. */
export interface Source extends Disposable {
  readonly name: string;
  readonly descriptor: Descriptor;
  /** Bytes from here to the end, of a regular file. */
  readonly length: number | undefined;
}

/** FILE, or standard input for undefined and "-". Throws READ_SOURCE, and the signal's reason. */
export async function openSource(file: string | undefined, signal?: AbortSignal): Promise<Source> {
  if (file === undefined || file === "-") return sourceOf("standard input", 0, () => {});
  const fd = await openFile(file, constants.O_RDONLY, { code: "READ_SOURCE", signal });
  return sourceOf(file, fd, () => closeSync(fd));
}

function sourceOf(name: string, fd: number, close: () => void): Source {
  const descriptor = describe(fd);
  if (descriptor.kind === "folder") {
    close();
    throw new ZcError({
      code: "READ_SOURCE",
      operation: "read",
      subject: name,
      reason: "it is a folder",
      hint: "pipe it: tar c FOLDER | zc send ADDR",
    });
  }
  const { kind, size, position } = descriptor;
  const length = kind === "file" && size > position ? size - position : undefined;
  return { name, descriptor, length, [Symbol.dispose]: close };
}
