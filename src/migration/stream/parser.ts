/**
 * The parser: bytes in, elements out, at any split of the input; no kernel needed. RAM is scanned in
 * C where it lies; everything else is small, and copied.
 */

import type { Ram } from "../ram/ram.ts";
import { Collector, Skipper } from "./collect.ts";
import { readConfiguration } from "./configuration.ts";
import { Cursor, Incomplete, Pause } from "./cursor.ts";
import type { Element, Payload, SectionKind, SectionName } from "./elements.ts";
import {
  commandNames,
  commandNumber,
  limits,
  magic,
  ramVersion,
  sectionType,
  version,
} from "./format.ts";
import { readLibvirt } from "./libvirt.ts";
import { hex, malformed, quoted, truncated } from "./malformed.ts";
import { OpaqueReader } from "./opaque.ts";
import type { PayloadReader } from "./payload.ts";
import { type RamEvents, RamReader } from "./ram-reader.ts";
import { Tail } from "./tail.ts";
import { VfioReader } from "./vfio.ts";

export interface ParserOptions extends RamEvents {
  readonly ram: Ram;
  /** Where the stream begins in its file: QEMU's "file:NAME,offset=…". */
  readonly begin?: number | undefined;
  readonly onElement: (element: Element) => void;
  /** What is not kept, RAM above all, as it passes: a view, for the call alone. */
  readonly onBulk?: ((bytes: Uint8Array) => void) | undefined;
}

/** A section whose end has not come. */
interface OpenSection {
  readonly kind: SectionKind;
  readonly name: SectionName;
  readonly offset: number;
  readonly reader: PayloadReader;
}

/** Makes one element at most. */
type Step = (cursor: Cursor, isLast: boolean) => void;

/** In one call. */
const stepsMax = 4096;

export class StreamParser {
  readonly #options: ParserOptions;
  readonly #sections = new Map<number, SectionName>();
  readonly #format = { isPostcopy: false, hasGuestAddress: false, isMapped: false };
  #trailing: { readonly offset: number; length: number } | undefined;
  /** Of the next byte that is not taken. */
  #offset = 0;
  /** Bytes, before another look is worth it. */
  #needed = 1;
  #stepsLeft = 0;
  #isPaused = false;
  #next: Step = (cursor, isLast) => this.#readHeader(cursor, isLast);
  #hasFooters: boolean | undefined;
  #packageEnd = Number.POSITIVE_INFINITY;
  #tail: Tail | undefined;
  /** What comes next, for the case that it does not. */
  #awaited = "a header";
  #canEnd = false;

  constructor(options: ParserOptions) {
    this.#options = options;
    if (options.begin) this.#next = skipping(options.begin, () => (this.#next = this.#readHeader));
  }

  /** Of the next byte, from the file's begin. */
  get offset(): number {
    return this.#offset;
  }

  /** Of postcopy's: the devices' sections come in one piece. */
  get #isInPackage(): boolean {
    return Number.isFinite(this.#packageEnd);
  }

  /** It has stopped for others, and can go on with the same bytes. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Takes what it can, but stops where multifd's channels can be due, and after
   * `stepsMax` elements, as somebody has to hold them; returns how many bytes it is done with: the others come
   * again, first, with more behind them unless it is paused. Throws PROTOCOL, and WRITE_SINK where a
   * RAM image cannot be written.
   */
  take(bytes: Uint8Array): number {
    this.#isPaused = false;
    this.#stepsLeft = stepsMax;
    // A package's end is as good as more bytes.
    const needed = Math.min(this.#needed, this.#packageEnd - this.#offset);
    return bytes.length < needed ? 0 : this.#take(bytes, false);
  }

  /** There is no more than these, of which `take` takes none. Throws TRUNCATED where that is too early. */
  end(bytes: Uint8Array): void {
    this.#stepsLeft = Number.POSITIVE_INFINITY;
    const done = this.#take(bytes, true);
    for (const element of this.#tail?.elements() ?? []) this.#options.onElement(element);
    if (this.#trailing) this.#options.onElement({ type: "trailing", ...this.#trailing });
    if (done < bytes.length || !this.#canEnd)
      throw truncated(this.#offset + bytes.length - done, this.#awaited);
  }

  #take(bytes: Uint8Array, isLast: boolean): number {
    let done = 0;
    for (;;) {
      const wasInPackage = this.#isInPackage;
      const inPackage = this.#packageEnd - this.#offset;
      const endsHere = bytes.length - done >= inPackage;
      const window = bytes.subarray(done, endsHere ? done + inPackage : bytes.length);
      const taken = this.#takeWindow(window, isLast || endsHere);
      done += taken;
      this.#offset += taken;
      const hasEntered = !wasInPackage && this.#isInPackage;
      if (this.#isPaused || (!endsHere && !hasEntered)) return done;
      if (hasEntered) continue;
      const isBetween = this.#next === this.#readElement || this.#tail !== undefined;
      if (taken < window.length || !isBetween)
        throw malformed({
          offset: this.#offset,
          expected: "the element's end before its package's",
          found: `the package's end at ${hex(this.#packageEnd)}`,
        });
      this.#packageEnd = Number.POSITIVE_INFINITY;
    }
  }

  /** Until more must come, or a package begins: from there on its end counts. */
  #takeWindow(window: Uint8Array, isLast: boolean): number {
    const cursor = new Cursor(window, this.#offset);
    const isInPackage = this.#isInPackage;
    this.#needed = 1;
    this.#isPaused = false;
    try {
      while (cursor.left > 0 && this.#isInPackage === isInPackage) {
        if (this.#stepsLeft-- === 0) throw new Pause();
        this.#next(cursor, isLast);
      }
    } catch (error) {
      if (error instanceof Pause) this.#isPaused = true;
      else if (error instanceof Incomplete)
        this.#needed = Math.max(error.needed - cursor.committed, 1);
      else throw error;
    }
    return cursor.committed;
  }

  readonly #readHeader: Step = (cursor) => {
    const { offset } = cursor;
    const libvirt = readLibvirt(cursor);
    if (libvirt !== undefined) {
      this.#emit(cursor, offset, libvirt);
      return;
    }
    const found = cursor.u32();
    if (found !== magic)
      throw malformed({
        ...{ offset, expected: 'a migration stream\'s "QEVM"', found: hex(found) },
        hint: otherFormats[found],
      });
    const versionFound = cursor.u32();
    if (versionFound !== version)
      throw malformed({ offset: offset + 4, expected: "version 3", found: `${versionFound}` });
    this.#emit(cursor, offset, { type: "header", version: versionFound });
    this.#awaited = elementAwaited;
    this.#next = this.#readFirst;
  };

  /** QEMU has a configuration nowhere else. */
  readonly #readFirst: Step = (cursor) => {
    const { offset } = cursor;
    if (cursor.peek() === sectionType.configuration) {
      cursor.u8();
      this.#readConfiguration(cursor, offset);
    }
    this.#next = this.#readElement;
  };

  readonly #readElement: Step = (cursor) => {
    const { offset } = cursor;
    const type = cursor.u8();
    const read = this.#readers[type];
    if (read === undefined)
      throw malformed({ offset, expected: "a section's type", found: hex(type) });
    read(cursor, offset);
  };

  readonly #readDescription: Step = (cursor) => {
    const { offset } = cursor;
    if (cursor.peek() !== sectionType.description) {
      this.#next = this.#skipTrailing;
      return;
    }
    cursor.u8();
    const length = cursor.u32();
    if (length > limits.description)
      throw malformed({ offset, expected: "a description", found: `one of ${length} bytes` });
    cursor.commit();
    const collector = new Collector(length);
    this.#canEnd = false;
    this.#awaited = `a description of ${length} bytes`;
    this.#next = (cursor) => {
      const text = collector.read(cursor);
      this.#canEnd = true;
      this.#emit(cursor, offset, { type: "description", text });
      this.#next = this.#skipTrailing;
    };
    // It may be there already: where it is empty, nothing more comes.
    this.#next(cursor, false);
  };

  /** Whatever is behind the end. */
  readonly #skipTrailing: Step = (cursor) => {
    this.#trailing ??= { offset: cursor.offset, length: 0 };
    const bytes = cursor.take(cursor.left);
    this.#trailing.length += bytes.length;
    this.#options.onBulk?.(bytes);
    cursor.commit();
  };

  #emit(cursor: Cursor, offset: number, element: Bare<Element>): void {
    cursor.commit();
    const isPackaged = this.#isInPackage;
    const at = { offset, length: cursor.offset - offset, ...(isPackaged && { isPackaged }) };
    this.#options.onElement({ ...element, ...at } as Element);
  }

  readonly #readers: Readonly<Record<number, (cursor: Cursor, offset: number) => void>> = {
    [sectionType.eof]: (cursor, offset) => {
      this.#emit(cursor, offset, { type: "eof" });
      // In a package it is not the stream's.
      if (this.#isInPackage) return;
      this.#next = this.#readDescription;
      this.#canEnd = true;
    },
    [sectionType.start]: (cursor, offset) => this.#openNamed("start", cursor, offset),
    [sectionType.full]: (cursor, offset) => this.#openNamed("full", cursor, offset),
    [sectionType.part]: (cursor, offset) => this.#openKnown("part", cursor, offset),
    [sectionType.end]: (cursor, offset) => this.#openKnown("end", cursor, offset),
    [sectionType.command]: (cursor, offset) => this.#readCommand(cursor, offset),
  };

  #readConfiguration(cursor: Cursor, offset: number): void {
    const configuration = readConfiguration(cursor);
    const { capabilities = [], pageBits } = configuration;
    this.#format.hasGuestAddress = capabilities.includes("x-ignore-shared");
    this.#format.isMapped = capabilities.includes("mapped-ram");
    this.#checkPageSize(offset, pageBits);
    this.#emit(cursor, offset, configuration);
  }

  #checkPageSize(offset: number, bits: number | undefined): void {
    const { pageSize } = this.#options.ram;
    if (bits === undefined || 2 ** bits === pageSize) return;
    const hint = `--page-size ${2 ** bits}`;
    throw malformed({ offset, expected: `pages of ${pageSize}`, found: `of ${2 ** bits}`, hint });
  }

  #openNamed(kind: "start" | "full", cursor: Cursor, offset: number): void {
    const [id, name, instance, version] = [cursor.u32(), cursor.name(), cursor.u32(), cursor.u32()];
    const section = { id, name, instance, version };
    if (this.#sections.size >= limits.sections)
      throw malformed({ offset, expected: `at most ${limits.sections} sections`, found: "more" });
    this.#sections.set(id, section);
    this.#openSection(kind, section, cursor, offset);
  }

  #openKnown(kind: "part" | "end", cursor: Cursor, offset: number): void {
    const id = cursor.u32();
    const section = this.#sections.get(id);
    if (section === undefined)
      throw malformed({ offset, expected: "a section that has started", found: `section ${id}` });
    this.#openSection(kind, section, cursor, offset);
  }

  /** Without footers only the description, which comes last, tells where sections end. */
  #openTail(cursor: Cursor): void {
    cursor.rewind();
    const tail = new Tail(cursor.offset);
    this.#tail = tail;
    this.#canEnd = true;
    this.#next = (cursor) => tail.take(cursor);
  }

  #openSection(kind: SectionKind, name: SectionName, cursor: Cursor, offset: number): void {
    if (this.#hasFooters === false && !isDelimited(name.name)) {
      this.#openTail(cursor);
      return;
    }
    cursor.commit();
    const reader = this.#readerOf(name, cursor.offset);
    this.#awaited = `the rest of section ${name.id} (${quoted(name.name)})`;
    const open: OpenSection = { kind, name, offset, reader };
    this.#next = (cursor, isLast) => this.#readPayload(open, cursor, isLast);
  }

  #readerOf(section: SectionName, offset: number): PayloadReader {
    const { ram } = this.#options;
    if (section.name === "ram") {
      if (section.version !== ramVersion)
        throw malformed({ offset, expected: "RAM of version 4", found: `${section.version}` });
      const format = { ...this.#format, pageSize: ram.pageSize };
      return new RamReader(ram, format, offset, this.#options);
    }
    if (isVfio(section.name)) return new VfioReader(offset);
    return new OpaqueReader(section, offset, this.#sections);
  }

  #readPayload(open: OpenSection, cursor: Cursor, isLast: boolean): void {
    const from = cursor.at;
    try {
      const payload = open.reader.read(cursor, isLast);
      cursor.commit();
      this.#next = (cursor) => this.#readFooter(open, payload, cursor);
    } finally {
      if (open.reader.isBulk) this.#options.onBulk?.(cursor.bytes.subarray(from, cursor.committed));
    }
  }

  #readCommand(cursor: Cursor, offset: number): void {
    const number = cursor.u16();
    const data = cursor.copy(cursor.u16());
    const name = commandNames[number];
    if (name === undefined)
      throw malformed({ offset, expected: "a command", found: `number ${number}` });
    if (number === commandNumber.advise) this.#format.isPostcopy = true;
    this.#emit(cursor, offset, { type: "command", number, name, data });
    if (number === commandNumber.packaged) this.#openPackage(cursor, offset, data);
  }

  /** Its bytes are a stream without a header, and more elements of this one. */
  #openPackage(cursor: Cursor, offset: number, data: Uint8Array): void {
    if (this.#isInPackage)
      throw malformed({ offset, expected: "a package in no other", found: "one in a package" });
    if (data.length !== 4)
      throw malformed({ offset, expected: "a package's length", found: `${data.length} bytes` });
    this.#packageEnd = cursor.offset + Buffer.from(data).readUInt32BE();
  }

  #readFooter({ kind, name, offset }: OpenSection, payload: Payload, cursor: Cursor): void {
    const at = cursor.offset;
    const isFooter = cursor.peek() === sectionType.footer;
    const hasFooter = isFooter && this.#hasFooters !== false;
    if (!hasFooter && this.#hasFooters)
      throw malformed({ offset: at, expected: `the footer of section ${name.id}`, found: "none" });
    if (hasFooter) {
      cursor.u8();
      const id = cursor.u32();
      if (id !== name.id)
        throw malformed({
          offset: at,
          expected: `the footer of section ${name.id} (${quoted(name.name)})`,
          found: `section ${id}'s`,
        });
    }
    this.#hasFooters = hasFooter;
    this.#awaited = elementAwaited;
    this.#next = this.#readElement;
    this.#emit(cursor, offset, { type: kind, ...name, hasFooter, payload });
    if (payload.kind === "ram") throw new Pause(); // for channels, as after a flush
  }
}

type Bare<E> = E extends Element ? Omit<E, "offset" | "length" | "isPackaged"> : never;

function isVfio(name: string): boolean {
  return name === "vfio" || name.endsWith("/vfio");
}

/** Tells itself where it ends. */
function isDelimited(name: string): boolean {
  return name === "ram" || isVfio(name);
}

/** Passes over so many bytes. */
function skipping(count: number, then: () => void): Step {
  const skipper = new Skipper(count);
  return (cursor) => {
    skipper.read(cursor);
    then();
  };
}

const elementAwaited = "a section, or the stream's end";

/** What else begins with four bytes of its own. */
const otherFormats: Readonly<Record<number, string>> = {
  287454020: "it is a channel of multifd's: the main channel has the stream",
  1363365970: "it is a CPR file",
};
