/** RAM's images for as long as they are needed: one file without a name, no larger than its data. */
import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { reading, writing } from "../../files.ts";
import type { Block } from "../stream/elements.ts";
import type { Ram } from "./ram.ts";

/** Disposing gives the disk back. */
export class Spool implements Disposable {
  readonly #fd: number;
  readonly #bases = new Map<string, number>();
  #end = 0;

  /** Throws WRITE_SINK. */
  constructor(folder: string) {
    const file = join(folder, `.zc-${process.pid}.spool`);
    this.#fd = writing(file, () => openSync(file, "wx+", 0o600));
    rmSync(file);
  }

  add(ram: Ram, { name, size }: Block): void {
    ram.writeTo(name, this.#fd, this.#end);
    this.#bases.set(name, this.#end);
    this.#end += Math.ceil(size / ram.pageSize) * ram.pageSize;
  }

  /** Fills `bytes` from a block's offset on; what was never written is zeros. Throws READ_SOURCE. */
  read(name: string, offset: number, bytes: Uint8Array): void {
    const base = this.#bases.get(name) ?? 0;
    const read = () => readSync(this.#fd, bytes, 0, bytes.length, base + offset);
    bytes.fill(0, reading("RAM", read));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
