/**
 * Writes a mapped-ram file: every page at a place of its own, which is known before it comes, so that
 * the output is the image. QEMU, docs/devel/migration/mapped-ram.rst and migration/ram.c.
 */
import { ZcError } from "../../errors.ts";
import { writeAt, writing } from "../../files.ts";
import type { Output } from "../../transfer/output.ts";
import type { Ram } from "../ram/ram.ts";
import type { Block, Configuration } from "../stream/elements.ts";
import { encodeFooter, encodeSectionHeader } from "../stream/encode.ts";
import { encodeBlock, encodeSizes } from "../stream/encode-ram.ts";
import { ramFlag } from "../stream/format.ts";
import { joined, u64 } from "../stream/joined.ts";
import { type Converted, encodeBegin, encodeEnd } from "./convert.ts";

/** MAPPED_RAM_FILE_OFFSET_ALIGNMENT: what direct I/O may ask for, and more. */
const pagesAlignment = 1 << 20;
const headerLength = 28;

interface Placed {
  readonly block: Block;
  /** Of its entry in the list. */
  readonly entryOffset: number;
}

export class MappedWriter {
  readonly #output: Output;
  readonly #ram: Ram;
  readonly #placed: Placed[] = [];
  #end = 0;

  /** Throws USAGE: the output is no file. */
  constructor(output: Output, ram: Ram) {
    if (output.descriptor.kind !== "file")
      throw new ZcError({ code: "USAGE", subject: output.name, reason: "mapped-ram needs a file" });
    this.#output = output;
    this.#ram = ram;
  }

  /** Before its pages come: gives them their place. Throws UNSUPPORTED. */
  add({ name, size, guestAddress }: Block, configuration: Configuration | undefined): void {
    if (configuration === undefined || guestAddress !== undefined)
      throw new ZcError({
        code: "UNSUPPORTED",
        operation: "write mapped-ram",
        reason: configuration === undefined ? "the stream has no configuration" : "RAM is shared",
      });
    const entryOffset = this.#placed.length === 0 ? listOffset(configuration) : this.#end;
    const bitmapOffset = entryOffset + 1 + Buffer.byteLength(name) + 8 + headerLength;
    const bitmapLength = Math.ceil(Math.ceil(size / this.#ram.pageSize) / 64) * 8;
    const pagesOffset = roundUp(bitmapOffset + bitmapLength, pagesAlignment);
    const mapped = { version: 1, pageSize: this.#ram.pageSize, bitmapOffset, pagesOffset };
    this.#placed.push({ block: { name, size, mapped }, entryOffset });
    this.#end = pagesOffset + size;
    this.#ram.writeTo(name, this.#output.descriptor.fd, pagesOffset);
  }

  /** Everything but the pages, which are there. Throws WRITE_SINK. */
  finish(converted: Converted): void {
    const { ram: section } = converted;
    const footer = section.hasFooter ? encodeFooter(section.id) : new Uint8Array(0);
    const total = this.#placed.reduce((sum, { block }) => sum + block.size, 0);
    const begin = joined(
      encodeBegin(converted.configuration, true),
      encodeSectionHeader("start", section),
      encodeSizes(total),
    );
    this.#write(begin, 0);
    for (const { block, entryOffset } of this.#placed) {
      this.#write(encodeBlock(block), entryOffset);
      this.#write(this.#ram.kept(block.name), block.mapped?.bitmapOffset ?? 0);
    }
    const endOfSection = joined(u64(ramFlag.eos), footer);
    const end = joined(
      endOfSection,
      encodeSectionHeader("end", section),
      endOfSection,
      encodeEnd(converted),
    );
    this.#write(end, this.#end);
  }

  #write(bytes: Uint8Array, position: number): void {
    const { descriptor, name } = this.#output;
    writing(name, () => writeAt(descriptor.fd, bytes, position));
  }
}

/** Where the list's first entry begins: behind a configuration that names mapped-ram. */
function listOffset(configuration: Configuration): number {
  const section = { id: 0, name: "ram", instance: 0, version: 4 };
  const before = encodeBegin(configuration, true);
  return before.length + encodeSectionHeader("start", section).length + 8;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
