/** A "ram" section's payload: the list of blocks here, records in C. */
import { inflateSync } from "node:zlib";
import type { Ram, RamCounts, RamStop, Scanned } from "../ram/ram.ts";
import { type BlockFormat, readBlock } from "./blocks.ts";
import { Collector, Skipper } from "./collect.ts";
import { type Cursor, Incomplete, Pause } from "./cursor.ts";
import type { Block, MappedRam, RamPayload } from "./elements.ts";
import { limits, ramFlag } from "./format.ts";
import { hex, malformed, quoted } from "./malformed.ts";
import type { PayloadReader } from "./payload.ts";

export interface RamEvents {
  /** A block of the list, before any of its pages. */
  readonly onBlock?: ((block: Block) => void) | undefined;
  /** A round of multifd's is over: what its channels sent before comes before what follows. */
  readonly onFlush?: (() => void) | undefined;
}

export class RamReader implements PayloadReader {
  readonly isBulk = true;
  readonly #ram: Ram;
  readonly #format: BlockFormat;
  readonly #events: RamEvents;
  readonly #begin: number;
  readonly #before: RamCounts;
  readonly #blocks: Block[] = [];
  readonly #names = new Set<string>();
  #flushes = 0;
  /** Bytes of blocks that the list has yet to name. */
  #unlisted = 0;
  #mapped: MappedReader | undefined;
  /** A page whose contents come next. */
  #compressed: Scanned | undefined;

  constructor(ram: Ram, format: BlockFormat, offset: number, events: RamEvents) {
    this.#ram = ram;
    this.#format = format;
    this.#events = events;
    this.#begin = offset;
    this.#before = ram.counts;
  }

  read(cursor: Cursor): RamPayload {
    for (;;) {
      this.#mapped?.read(cursor);
      this.#mapped = undefined;
      if (this.#compressed) this.#readCompressed(cursor, this.#compressed);
      else if (this.#unlisted > 0) this.#readBlock(cursor);
      else if (this.#scan(cursor)) break;
    }
    const { counts } = this.#ram;
    return {
      kind: "ram",
      length: cursor.offset - this.#begin,
      blocks: this.#blocks,
      counts: difference(counts, this.#before),
      flushes: this.#flushes,
    };
  }

  /** Whether it was the end. */
  #scan(cursor: Cursor): boolean {
    if (this.#format.isMapped) this.#checkMapped(cursor);
    const found = this.#ram.scan(cursor.rest());
    cursor.take(found.consumed);
    cursor.commit();
    if (found.stop === "more") throw new Incomplete(cursor.bytes.length + 1);
    if (found.stop === "end") return true;
    if (found.stop === "sizes") this.#beginList(cursor, found.offset);
    else if (found.stop === "flush") this.#flush();
    else if (found.stop === "compressed") this.#compressed = found;
    else throw badRecord(found, cursor, this.#ram.pageSize);
    return false;
  }

  /** With mapped-ram pages have their places: a record of one is nothing that QEMU loads. */
  #checkMapped(cursor: Cursor): void {
    const { offset } = cursor;
    const word = cursor.peek64();
    const flags = Number(word % BigInt(this.#ram.pageSize));
    if (flags === ramFlag.sizes || flags === ramFlag.eos) return;
    const found = `the word ${hex(word)}`;
    throw malformed({ offset, expected: "a list of mapped-ram's blocks, or its end", found });
  }

  /** As QEMU did with "compress", up to 9.0: each page by zlib, on its own. */
  #readCompressed(cursor: Cursor, { block, offset: page }: Scanned): void {
    const { offset } = cursor;
    const { pageSize } = this.#ram;
    const length = cursor.u32();
    if (length > compressedMax(pageSize))
      throw malformed({ offset, expected: "a compressed page", found: `${length} bytes` });
    const contents = inflate(cursor.take(length), pageSize);
    if (contents?.length !== pageSize)
      throw malformed({ offset, expected: "a page compressed by zlib", found: "other bytes" });
    this.#ram.takePage(block, page, contents);
    this.#compressed = undefined;
    cursor.commit();
  }

  #beginList(cursor: Cursor, bytes: number): void {
    this.#unlisted = bytes;
    if (bytes <= limits.ram) return;
    cursor.at -= 8;
    const { offset } = cursor;
    const found = `the word ${hex(cursor.u64())}`;
    throw malformed({ offset, expected: `at most ${hex(limits.ram)} bytes of RAM`, found });
  }

  /** Whoever reads channels too has to have them catch up before it goes on. */
  #flush(): never {
    this.#flushes++;
    this.#events.onFlush?.();
    throw new Pause();
  }

  #readBlock(cursor: Cursor): void {
    const { offset } = cursor;
    const block = readBlock(cursor, this.#format);
    if (block.size > this.#unlisted || block.size === 0)
      throw malformed({
        offset,
        expected: `blocks of ${hex(this.#unlisted)} bytes together`,
        found: `${quoted(block.name)} of ${hex(block.size)}`,
      });
    const problem = this.#add(block);
    if (problem !== undefined)
      throw malformed({
        offset,
        expected: "a RAM block",
        found: `${quoted(block.name)}, ${problem}`,
      });
    this.#unlisted -= block.size;
    this.#blocks.push(block);
    this.#events.onBlock?.(block);
    cursor.commit();
    if (block.mapped !== undefined && block.mapped.pagesOffset > 0)
      this.#mapped = new MappedReader(this.#ram, block, block.mapped);
  }

  /** What is wrong with it. Another list may name it again. */
  #add({ name, size }: Block): string | undefined {
    if (this.#names.has(name)) return "which came before";
    this.#names.add(name);
    if (!this.#ram.has(name)) return this.#ram.add(name, size);
    const before = this.#ram.sizeOf(name);
    return before === size ? undefined : `of ${hex(size)} bytes, which had ${hex(before)}`;
  }
}

/** zlib's compressBound. */
function compressedMax(size: number): number {
  return size + (size >> 12) + (size >> 14) + (size >> 25) + 13;
}

/** undefined: it is none, or of more than `size` bytes. */
function inflate(bytes: Uint8Array, size: number): Uint8Array | undefined {
  try {
    return inflateSync(bytes, { maxOutputLength: size });
  } catch {
    return undefined;
  }
}

/** What mapped-ram has between two blocks of the list: a bitmap, and the pages at their places. */
class MappedReader {
  readonly #ram: Ram;
  readonly #block: Block;
  readonly #mapped: MappedRam;
  #skipper: Skipper | undefined;
  #collector: Collector | undefined;
  #bitmap: Uint8Array | undefined;
  #isAtPages = false;
  #taken = 0;

  constructor(ram: Ram, block: Block, mapped: MappedRam) {
    this.#ram = ram;
    this.#block = block;
    this.#mapped = mapped;
  }

  read(cursor: Cursor): void {
    const { bitmapOffset, pagesOffset } = this.#mapped;
    this.#bitmap ??= this.#readBitmap(cursor, bitmapOffset);
    if (!this.#isAtPages) this.#skipTo(cursor, pagesOffset, "pages");
    this.#isAtPages = true;
    this.#readPages(cursor, this.#bitmap);
  }

  #readBitmap(cursor: Cursor, offset: number): Uint8Array {
    if (this.#collector === undefined) {
      this.#skipTo(cursor, offset, "a bitmap");
      const words = Math.ceil(this.#block.size / this.#ram.pageSize / 64);
      if (words * 8 > limits.mappedBitmap)
        throw malformed({ offset, expected: "a bitmap", found: `one of ${words * 8} bytes` });
      this.#collector = new Collector(words * 8);
    }
    return this.#collector.read(cursor);
  }

  #skipTo(cursor: Cursor, offset: number, what: string): void {
    if (this.#skipper === undefined && offset < cursor.offset)
      throw malformed({
        offset: cursor.offset,
        expected: `${what} of ${quoted(this.#block.name)} further on`,
        found: `them at ${hex(offset)}`,
      });
    this.#skipper ??= new Skipper(offset - cursor.offset);
    this.#skipper.read(cursor);
    this.#skipper = undefined;
  }

  #readPages(cursor: Cursor, bitmap: Uint8Array): void {
    const { pageSize } = this.#ram;
    const { name, size } = this.#block;
    while (this.#taken < size) {
      const missing = size - this.#taken;
      const there = Math.min(cursor.left, missing);
      const whole = there - (there % pageSize);
      const pages = whole > 0 ? cursor.take(whole) : padded(cursor, missing, pageSize);
      this.#ram.takeMapped(name, this.#taken, pages, bitmap);
      this.#taken += pages.length;
      cursor.commit();
    }
  }
}

/** The next page, or what the block has of it. Throws Incomplete. */
function padded(cursor: Cursor, missing: number, pageSize: number): Uint8Array {
  const page = new Uint8Array(pageSize);
  page.set(cursor.take(Math.min(missing, pageSize)));
  return page;
}

const expectations: Partial<Record<RamStop, string>> = {
  badFlags: "a RAM record's flags",
  badContinue: "a RAM record that names its block",
  badBlock: "a RAM block of the list",
  badOffset: "a page in its block",
  badFill: "a page of zeros",
  badXbzrle: "an XBZRLE encoding",
};

const flagsKnown: Readonly<Record<number, string>> = {
  1: "a page of 2009's form",
  128: "RDMA's registration, which no file can have",
};

/** The record behind what was consumed. */
export function badRecord({ stop, flags }: Scanned, cursor: Cursor, pageSize: number): Error {
  const { offset } = cursor;
  const page = cursor.u64() & ~BigInt(pageSize - 1);
  const known = stop === "badFlags" ? flagsKnown[flags & ~0x20] : undefined;
  const found = `flags ${hex(flags)}, page ${hex(page)}${known ? `: ${known}` : ""}`;
  return malformed({ offset, expected: expectations[stop] ?? "a RAM record", found });
}

function difference(after: RamCounts, before: RamCounts): RamCounts {
  return {
    normal: after.normal - before.normal,
    zero: after.zero - before.zero,
    xbzrle: after.xbzrle - before.xbzrle,
    again: after.again - before.again,
    empty: after.empty - before.empty,
    bytes: after.bytes - before.bytes,
  };
}
