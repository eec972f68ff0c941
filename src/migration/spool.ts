/** RAM's images for as long as they are needed: one file without a name, no larger than its data. */
import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, ZcError } from "../errors.ts";
import type { Block } from "./elements.ts";
import type { Ram } from "./ram.ts";

/** Disposing gives the disk back. */
export class Spool implements Disposable {
  readonly #fd: number;
  readonly #bases = new Map<string, number>();
  #end = 0;

  /** Throws WRITE_SINK. */
  constructor(folder: string) {
    const file = join(folder, `.zc-${process.pid}.spool`);
    try {
      this.#fd = openSync(file, "wx+", 0o600);
      rmSync(file);
    } catch (error) {
      const errno = errnoOf(error);
      throw new ZcError({ code: "WRITE_SINK", operation: "write", subject: file, errno });
    }
  }

  add(ram: Ram, { name, size }: Block): void {
    ram.writeTo(name, this.#fd, this.#end);
    this.#bases.set(name, this.#end);
    this.#end += Math.ceil(size / ram.pageSize) * ram.pageSize;
  }

  /** Fills `bytes` from a block's offset on; what was never written is zeros. Throws READ_SOURCE. */
  read(name: string, offset: number, bytes: Uint8Array): void {
    const base = this.#bases.get(name) ?? 0;
    try {
      const got = readSync(this.#fd, bytes, 0, bytes.length, base + offset);
      bytes.fill(0, got);
    } catch (error) {
      const errno = errnoOf(error);
      throw new ZcError({ code: "READ_SOURCE", operation: "read", subject: "RAM", errno });
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
