/** RAM images: a sparse file a block, in a folder. */
import { ftruncateSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ZcError } from "../../errors.ts";
import { writing } from "../../files.ts";
import { type Output, openRegular } from "../../transfer/output.ts";
import type { Block } from "../stream/elements.ts";
import type { Ram } from "./ram.ts";

/** Disposing leaves nothing behind of what was not committed. */
export class Images implements Disposable {
  readonly #folder: string;
  readonly #outputs: Output[] = [];

  /** Makes the folder where there is none. Throws WRITE_SINK. */
  constructor(folder: string) {
    this.#folder = folder;
    writing(folder, () => mkdirSync(folder, { recursive: true }));
  }

  /** From now on the block's pages go to its file. Throws WRITE_SINK. */
  add(ram: Ram, { name, size }: Block): void {
    const file = join(this.#folder, imageName(name));
    const output = openRegular(file);
    if (output === undefined) throw noFile(file);
    this.#outputs.push(output);
    writing(file, () => ftruncateSync(output.descriptor.fd, size));
    ram.writeTo(name, output.descriptor.fd, 0);
  }

  /** All is in them: gives them their names. */
  commit(): void {
    for (const output of this.#outputs) output.commit();
  }

  [Symbol.dispose](): void {
    for (const output of this.#outputs) output[Symbol.dispose]();
  }
}

function noFile(subject: string): ZcError {
  return new ZcError({ code: "WRITE_SINK", operation: "write", subject, reason: "it is no file" });
}

/** A stream's name is never a path: "/rom@etc/acpi/tables" is in the file "%2From%40etc%2Facpi%2Ftables". */
function imageName(block: string): string {
  return encodeURIComponent(block).replace(/^\./, "%2E");
}
