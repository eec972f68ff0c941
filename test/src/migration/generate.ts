/** Streams as QEMU makes them, and what they are made of. */
import fc from "fast-check";
import type {
  Block,
  Command,
  Configuration,
  Description,
  Element,
  Section,
  SectionName,
  VfioPayload,
} from "../../../src/migration/stream/elements.ts";
import { encodeBlock, encodeSizes } from "../../../src/migration/stream/encode-ram.ts";
import { commandNames } from "../../../src/migration/stream/format.ts";
import { joined, u32, u64 } from "../../../src/migration/stream/joined.ts";
import { contents, difference, pagesOf, RamModel, type Sending } from "./ram/ram-model.ts";
import { encodeRecord, encodeWith } from "./records.ts";

export interface Generated {
  readonly bytes: Uint8Array;
  readonly elements: readonly Element[];
  readonly pageSize: number;
  readonly model: RamModel;
  /** When a property fails. */
  readonly [fc.toStringMethod]: () => string;
}

/** Of a stream, before it is one. */
interface Plan {
  readonly pageBits: number;
  readonly mode: "plain" | "postcopy" | "ignore-shared" | "mapped" | "mapped-shared";
  readonly hasConfiguration: boolean;
  readonly hasPageBits: boolean;
  readonly uuid: Uint8Array | undefined;
  readonly hasFooters: boolean;
  readonly blocks: readonly BlockPlan[];
  readonly sections: readonly (readonly (Sending | "flush")[])[];
  readonly commands: readonly { readonly number: number; readonly data: Uint8Array }[];
  readonly vfio: readonly Uint8Array[];
  readonly devices: readonly DevicePlan[];
  readonly description: "none" | "empty" | "matching";
  readonly trailing: Uint8Array;
}

interface BlockPlan {
  readonly name: string;
  readonly pages: number;
  /** Bytes of one more. */
  readonly more: number;
  readonly isHuge: boolean;
  readonly isShared: boolean;
}

interface DevicePlan {
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly isInParts: boolean;
}

const { record, boolean, constantFrom, nat, array, uniqueArray, oneof, uint8Array, option } = fc;

const names = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 255 });

const sending: fc.Arbitrary<Sending> = record({
  block: nat(3),
  page: nat(70),
  kind: constantFrom("page", "page", "zero", "xbzrle"),
  seed: oneof(fc.constant(0), nat()),
  isNamed: boolean(),
});

/** Bytes in which footers seem to stand. */
const deviceBytes = array(
  oneof(
    uint8Array({ maxLength: 40 }),
    constantFrom(0x7e, 0x00, 0x05, 0x06).map((byte) => Uint8Array.of(byte)),
    nat(20).map((id) => joined(Uint8Array.of(0x7e), u32(id), Uint8Array.of(0x00))),
    nat(300).map((length) => new Uint8Array(length)),
  ),
  { maxLength: 6 },
).map((parts) => joined(...parts));

const device: fc.Arbitrary<DevicePlan> = record({
  id: oneof(nat(10), nat(2 ** 32 - 1)),
  name: names.filter((name) => name !== "ram" && !name.endsWith("vfio")),
  instance: oneof(nat(2), nat(2 ** 32 - 1)),
  version: nat(0xffff),
  bytes: deviceBytes,
  isInParts: boolean(),
});

const plan: fc.Arbitrary<Plan> = record({
  pageBits: constantFrom(10, 10, 10, 12, 16),
  mode: constantFrom("plain", "plain", "postcopy", "ignore-shared", "mapped", "mapped-shared"),
  hasConfiguration: boolean(),
  hasPageBits: boolean(),
  uuid: option(uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
  hasFooters: oneof(fc.constant(true), boolean()),
  blocks: fc.uniqueArray(
    record({
      name: oneof(names, constantFrom("pc.ram", "é", "\ufeffa", "a\0b", "a")),
      pages: nat(3),
      more: constantFrom(0, 0, 1, 100),
      isHuge: boolean(),
      isShared: boolean(),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
  ),
  sections: array(
    array(oneof({ weight: 9, arbitrary: sending }, fc.constant("flush" as const)), {
      maxLength: 8,
    }),
    { minLength: 1, maxLength: 4 },
  ),
  commands: array(
    record({
      number: constantFrom(1, 2, 4, 5, 6, 8, 9, 10, 11),
      data: uint8Array({ maxLength: 20 }),
    }),
    { maxLength: 3 },
  ),
  vfio: array(uint8Array({ maxLength: 50 }), { maxLength: 2 }),
  devices: uniqueArray(device, {
    maxLength: 4,
    selector: ({ name, instance }) => `${instance} ${name}`,
  }),
  description: constantFrom("none", "empty", "matching"),
  trailing: oneof(fc.constant(new Uint8Array()), uint8Array({ maxLength: 400 })),
});

export const streams: fc.Arbitrary<Generated> = plan.map((plan) => new Maker(plan).make());

const ramId = 3;
const vfioId = 4;

class Maker {
  readonly #plan: Plan;
  readonly #pageSize: number;
  readonly #model: RamModel;
  readonly #elements: Element[] = [];
  readonly #parts: Uint8Array[] = [];
  readonly #ids = new Map<number, SectionName>();
  #offset = 0;
  #isPackaged = false;
  #counted: RamModel["total"];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#pageSize = 2 ** plan.pageBits;
    // Their sum is of whole pages, as its word has it.
    const sizes = plan.blocks.map(({ pages, more }) => (pages + 1) * this.#pageSize - more);
    const cut = plan.blocks.reduce((sum, { more }) => sum + more, 0) % this.#pageSize;
    const blocks = plan.blocks.map(({ name }, i) => ({ name, size: sizes[i] ?? 0 }));
    const last = { name: "rest", size: cut + this.#pageSize };
    const taken = new Set(blocks.map(({ name }) => name));
    while (taken.has(last.name)) last.name += "'";
    this.#model = new RamModel([...blocks, last], this.#pageSize);
    this.#counted = { ...this.#model.total };
  }

  make(): Generated {
    const { mode, hasFooters, devices, description, trailing, vfio, commands } = this.#plan;
    const isPostcopy = mode === "postcopy";
    this.#add({ type: "header", version: 3 });
    this.#configuration();
    if (isPostcopy) this.#command(3, joined(u64(0x1000), u64(0x1000)));
    this.#start();
    this.#vfio("start", [{ tag: "setupState", bytes: 0 }], new Uint8Array());
    const sections = this.#plan.sections.slice(0, -1);
    for (const sendings of sections) this.#ram("part", mode.startsWith("mapped") ? [] : sendings);
    for (const { number, data } of commands) this.#command(number, data);
    for (const data of vfio) this.#vfioData(data);
    if (isPostcopy) this.#package();
    this.#ram("end", mode.startsWith("mapped") ? [] : (this.#plan.sections.at(-1) ?? []));
    const hasDescription = !isPostcopy && description !== "none";
    const cannotBeTold = !hasFooters && devices.length > 0 && !isPostcopy;
    const before = this.#elements.length;
    if (!isPostcopy) for (const device of devices) this.#device(device);
    this.#add({ type: "eof" });
    const isMatching = cannotBeTold || description === "matching";
    if (hasDescription) this.#description(isMatching);
    else if (cannotBeTold) this.#merge(before);
    // A device's end that is followed by the stream's, and by anything, could stand in the device.
    if (!cannotBeTold && trailing.length > 0 && hasDescription)
      this.#add({ type: "trailing" }, trailing);
    return {
      bytes: joined(...this.#parts),
      elements: this.#elements,
      pageSize: this.#pageSize,
      model: this.#model,
      [fc.toStringMethod]: () => joined(...this.#parts).toHex(),
    };
  }

  #configuration(): void {
    const { mode, hasConfiguration, hasPageBits, uuid, pageBits } = this.#plan;
    const capabilities = [
      ...(mode === "ignore-shared" || mode === "mapped-shared" ? ["x-ignore-shared"] : []),
      ...(mode.startsWith("mapped") ? ["mapped-ram"] : []),
    ];
    if (!hasConfiguration && capabilities.length === 0) return;
    this.#add({
      type: "configuration",
      machine: "pc-i440fx-10.0",
      ...(hasPageBits && { pageBits }),
      ...(capabilities.length > 0 && { capabilities }),
      ...(uuid && { uuid: uuid.toHex() }),
    });
  }

  #start(): void {
    const name = { id: ramId, name: "ram", instance: 0, version: 4 };
    this.#ids.set(ramId, name);
    const header = 1 + 4 + 1 + 3 + 4 + 4;
    const sizes = encodeSizes(this.#model.blocks.reduce((sum, { size }) => sum + size, 0));
    let at = this.#offset + header + sizes.length;
    const parts = [sizes];
    const blocks = this.#model.blocks.map(({ name, size }, index) => {
      const block = this.#block(name, size, index, at);
      const bytes = [encodeBlock(block), ...this.#mapped(block, index, at)];
      parts.push(...bytes);
      at += joined(...bytes).length;
      return block;
    });
    this.#ramSection("start", joined(...parts, encodeRecord({ kind: "end" })), blocks, 0);
  }

  #block(name: string, size: number, index: number, at: number): Block {
    const { mode, blocks } = this.#plan;
    const { isHuge = false, isShared = false } = blocks[index] ?? {};
    if (mode === "postcopy" && isHuge) return { name, size, pageSize: 2 << 20 };
    const hasAddress = mode === "ignore-shared" || mode === "mapped-shared";
    const address = hasAddress ? { guestAddress: BigInt(index) << 32n } : {};
    if (!mode.startsWith("mapped")) return { name, size, ...address };
    const pageSize = this.#pageSize;
    const none = { version: 1, pageSize, bitmapOffset: 0, pagesOffset: 0 };
    if (hasAddress && isShared) return { name, size, ...address, mapped: none };
    const bitmapOffset = at + encodeBlock({ name, size, ...address, mapped: none }).length;
    const bitmapEnd = bitmapOffset + bitmapSize(size, pageSize);
    const pagesOffset = Math.ceil(bitmapEnd / pageSize) * pageSize;
    return { name, size, ...address, mapped: { ...none, bitmapOffset, pagesOffset } };
  }

  /** A bitmap, a gap and pages: a third of them are there. */
  #mapped({ size, mapped }: Block, index: number, at: number): Uint8Array[] {
    if (mapped === undefined || mapped.pagesOffset === 0) return [];
    const bitmap = new Uint8Array(bitmapSize(size, this.#pageSize));
    for (let page = 0; page < pagesOf(size, this.#pageSize); page++) {
      if ((at + page) % 3 > 0) continue;
      bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
      const seed = (at + page) % 2;
      const isCut = (page + 1) * this.#pageSize > size;
      const bytes = contents(seed, this.#pageSize);
      this.#model.page(index, page).set(isCut ? bytes.fill(0, size % this.#pageSize) : bytes);
      this.#model.count(index, page, { normal: 1, bytes: this.#pageSize, empty: 1 - seed });
    }
    const gap = mapped.pagesOffset - mapped.bitmapOffset - bitmap.length;
    return [bitmap, new Uint8Array(gap).fill(0x7e), this.#model.image(index)];
  }

  #ram(kind: "part" | "end", sendings: readonly (Sending | "flush")[]): void {
    const records = sendings.map((sending) =>
      encodeRecord(sending === "flush" ? { kind: "flush" } : this.#model.send(sending)),
    );
    const flushes = sendings.filter((sending) => sending === "flush").length;
    this.#ramSection(kind, joined(...records, encodeRecord({ kind: "end" })), [], flushes);
  }

  #ramSection(
    type: "start" | "part" | "end",
    bulk: Uint8Array,
    blocks: readonly Block[],
    flushes: number,
  ): void {
    const counts = difference(this.#model.total, this.#counted);
    this.#counted = { ...this.#model.total };
    const name = { id: ramId, name: "ram", instance: 0, version: 4 };
    const payload = { kind: "ram", length: bulk.length, blocks, counts, flushes } as const;
    this.#add({ type, ...name, hasFooter: this.#plan.hasFooters, payload }, bulk);
  }

  #vfioData(data: Uint8Array): void {
    const bytes = data.length;
    const dataState = joined(u64(vfioTag(4)), u64(bytes), data);
    this.#vfio(
      "part",
      [
        { tag: "dataState", bytes },
        { tag: "dataState", bytes: 0 },
      ],
      dataState,
    );
    const config = joined(u64(vfioTag(2)), data);
    this.#vfio("full", [{ tag: "configState", bytes }], config);
  }

  #vfio(type: Section["type"], records: VfioPayload["records"], data: Uint8Array): void {
    if (this.#plan.vfio.length === 0) return;
    const begin = type === "start" ? u64(vfioTag(3)) : data;
    const more = type === "part" ? joined(u64(vfioTag(4)), u64(0)) : new Uint8Array();
    const end = u64(vfioTag(type === "part" ? 5 : 1));
    const last = { tag: type === "part" ? "initDataSent" : "endOfState", bytes: 0 };
    const bulk = joined(begin, more, end);
    const payload = { kind: "vfio", length: bulk.length, records: [...records, last] } as const;
    const name = { id: vfioId, name: "0000:00:02.0/vfio", instance: 0, version: 1 };
    this.#ids.set(vfioId, name);
    this.#add({ type, ...name, hasFooter: this.#plan.hasFooters, payload }, bulk);
  }

  #device({ id, name, instance, version, bytes, isInParts }: DevicePlan): void {
    const { hasFooters } = this.#plan;
    if (id === ramId || id === vfioId) return;
    const footer = joined(Uint8Array.of(0x7e), u32(id));
    const isAmbiguous = Buffer.from(joined(bytes, footer)).indexOf(footer) < bytes.length;
    const payload = { kind: "opaque", bytes: isAmbiguous ? new Uint8Array() : bytes } as const;
    const section = { id, name, instance, version, hasFooter: hasFooters, payload };
    this.#ids.set(id, section);
    if (!isInParts || !hasFooters) {
      this.#add({ type: "full", ...section });
      return;
    }
    for (const type of ["start", "part", "end"] as const) this.#add({ type, ...section });
  }

  #package(): void {
    const { devices, hasFooters } = this.#plan;
    const begin = this.#parts.length;
    const elementsBefore = this.#elements.length;
    const length = new Uint8Array(4);
    this.#command(7, length);
    const from = this.#offset;
    this.#isPackaged = true;
    this.#command(4, new Uint8Array());
    if (hasFooters) for (const device of devices) this.#device(device);
    this.#command(5, new Uint8Array());
    this.#isPackaged = false;
    length.set(u32(this.#offset - from));
    const command = this.#elements[elementsBefore];
    if (command) this.#parts[begin] = encodeWith(command);
  }

  #command(number: number, data: Uint8Array): void {
    this.#add({ type: "command", number, name: commandNames[number] ?? "", data });
  }

  #description(isMatching: boolean): void {
    const devices = this.#elements.flatMap((element) =>
      element.type === "full" ? [describe(element)] : [],
    );
    const text = JSON.stringify({ page_size: this.#pageSize, devices });
    this.#add({ type: "description", text: isMatching ? Buffer.from(text) : new Uint8Array() });
  }

  /** What comes from there on cannot be told apart. */
  #merge(from: number): void {
    const bytes = joined(...this.#parts.splice(from));
    const offset = this.#elements[from]?.offset ?? 0;
    this.#elements.splice(from);
    // Devices that were left out leave an end, which can be told.
    if (bytes.length === 1) this.#elements.push({ type: "eof", offset, length: 1 });
    else this.#elements.push({ type: "undelimited", offset, length: bytes.length, bytes });
    this.#parts.push(bytes);
  }

  #add(element: Made, bulk: Uint8Array = new Uint8Array()): void {
    const bytes = encodeWith({ ...element, offset: 0, length: 0 } as Element, bulk);
    const at = { offset: this.#offset, length: bytes.length };
    const packaged = this.#isPackaged ? { isPackaged: true } : {};
    this.#elements.push({ ...element, ...at, ...packaged } as Element);
    this.#parts.push(bytes);
    this.#offset += bytes.length;
  }
}

type Without<E> = Omit<E, "offset" | "length">;
type Made =
  | { type: "header"; version: number }
  | Without<Configuration>
  | Without<Section>
  | Without<Command>
  | Without<Description>
  | { type: "eof" }
  | { type: "trailing" };

function describe(section: Section): object {
  const size = section.payload.kind === "opaque" ? section.payload.bytes.length : 0;
  const fields = [{ name: "data", type: "buffer", size }];
  return { name: section.name, instance_id: section.instance, version: section.version, fields };
}

function bitmapSize(size: number, pageSize: number): number {
  return Math.ceil(pagesOf(size, pageSize) / 64) * 8;
}

function vfioTag(number: number): bigint {
  return 0xffffffffef100000n + BigInt(number);
}
