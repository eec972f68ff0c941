/** How two machines differ: RAM by page, devices by field. */

import type { Ram } from "../ram/ram.ts";
import { Spool } from "../ram/spool.ts";
import { type IngestOptions, ingest } from "../reading/ingest.ts";
import { type Described, Describer } from "../stream/describer.ts";
import type { Block, Element } from "../stream/elements.ts";
import type { FieldValue } from "../stream/fields.ts";
import type { StreamDiff } from "./diff.schema.ts";

/** A machine, with its RAM on disk for as long as it is needed. */
export class Snapshot implements Disposable {
  readonly ram: Ram;
  readonly spool: Spool;
  machine: string | undefined;
  readonly blocks = new Map<string, Block>();
  readonly devices = new Map<string, Device>();

  /** `folder`: where there is room for the RAM. Throws WRITE_SINK. */
  constructor(ram: Ram, folder: string) {
    this.ram = ram;
    this.spool = new Spool(folder);
  }

  /** Throws what `ingest` does. */
  async read(options: Omit<IngestOptions, "ram" | "onElement" | "onBlock">): Promise<void> {
    const describer = new Describer((described) => this.#take(described));
    const onElement = (element: Element) => describer.take(element);
    const onBlock = (block: Block) => {
      this.blocks.set(block.name, block);
      this.spool.add(this.ram, block);
    };
    await ingest({ ...options, ram: this.ram, onElement, onBlock });
    describer.end();
  }

  [Symbol.dispose](): void {
    this.spool[Symbol.dispose]();
  }

  #take({ element, fields }: Described): void {
    if (element.type === "configuration") this.machine = element.machine;
    if (!("payload" in element) || element.payload.kind !== "opaque") return;
    const { name, instance, payload } = element;
    const values = fields ?? { "": payload.bytes.toHex() };
    this.devices.set(`${name} ${instance}`, { name, instance, values });
  }
}

interface Device {
  readonly name: string;
  readonly instance: number;
  readonly values: { readonly [name: string]: FieldValue };
}

export function diffSnapshots(first: Snapshot, second: Snapshot): StreamDiff {
  const blocks = [...first.blocks.keys()].flatMap((name) => {
    const other = second.blocks.get(name);
    return other === undefined ? [] : diffBlock(name, first, second);
  });
  const fields = [...first.devices].flatMap(([key, device]) => {
    const other = second.devices.get(key);
    return other === undefined ? [] : diffDevice(device, other);
  });
  const missing = [
    ...onlyIn("block", first.blocks, second.blocks),
    ...onlyIn("device", first.devices, second.devices),
  ];
  const machines = first.machine !== second.machine && {
    machines: { first: first.machine, second: second.machine },
  };
  const same = blocks.length + fields.length + missing.length === 0 && !machines;
  return { same, ...machines, blocks, fields, missing };
}

function onlyIn(
  kind: "block" | "device",
  first: ReadonlyMap<string, unknown>,
  second: ReadonlyMap<string, unknown>,
): StreamDiff["missing"] {
  const here = [...first.keys()].filter((name) => !second.has(name));
  const there = [...second.keys()].filter((name) => !first.has(name));
  return [
    ...here.map((name) => ({ kind, name, in: "first" as const })),
    ...there.map((name) => ({ kind, name, in: "second" as const })),
  ];
}

const rangesMax = 1000;
/** Pages compared at once: those of one word of a bitmap. */
const pagesAtOnce = 64;

function diffBlock(name: string, first: Snapshot, second: Snapshot): StreamDiff["blocks"] {
  const { pageSize } = first.ram;
  const sizes = { first: first.ram.sizeOf(name), second: second.ram.sizeOf(name) };
  const pages = Math.ceil(Math.max(sizes.first, sizes.second) / pageSize);
  const ranges: { start: number; length: number }[] = [];
  let different = 0;
  for (const page of differentPages(name, first, second)) {
    different++;
    const start = page * pageSize;
    const last = ranges.at(-1);
    if (last && last.start + last.length === start) last.length += pageSize;
    else if (ranges.length < rangesMax) ranges.push({ start, length: pageSize });
  }
  const resized = sizes.first !== sizes.second && { sizes };
  return different === 0 && !resized ? [] : [{ name, pages, different, ranges, ...resized }];
}

function* differentPages(name: string, first: Snapshot, second: Snapshot): Generator<number> {
  const { pageSize } = first.ram;
  const [kept, others] = [first.ram.kept(name), second.ram.kept(name)];
  const [one, other] = [
    new Uint8Array(pagesAtOnce * pageSize),
    new Uint8Array(pagesAtOnce * pageSize),
  ];
  const bytesAtOnce = pagesAtOnce / 8;
  for (let at = 0; at < Math.max(kept.length, others.length); at += bytesAtOnce) {
    const isEmpty = [kept, others].every((bits) =>
      bits.subarray(at, at + bytesAtOnce).every((byte) => byte === 0),
    );
    if (isEmpty) continue;
    const page = at * 8;
    readPages(first, name, page, one);
    readPages(second, name, page, other);
    if (Buffer.compare(one, other) === 0) continue;
    for (let index = 0; index < pagesAtOnce; index++) {
      const range = [index * pageSize, (index + 1) * pageSize] as const;
      if (Buffer.compare(one.subarray(...range), other.subarray(...range)) !== 0)
        yield page + index;
    }
  }
}

/** Beyond the block there are zeros. */
function readPages({ ram, spool }: Snapshot, name: string, page: number, into: Uint8Array): void {
  const offset = page * ram.pageSize;
  const there = Math.max(0, Math.min(into.length, ram.sizeOf(name) - offset));
  into.fill(0, there);
  if (there > 0) spool.read(name, offset, into.subarray(0, there));
}

function diffDevice(first: Device, second: Device): StreamDiff["fields"] {
  const { name: device, instance } = first;
  const [here, there] = [flatten(first.values), flatten(second.values)];
  const names = new Set([...here.keys(), ...there.keys()]);
  return [...names].flatMap((field) => {
    const [one, other] = [here.get(field) ?? null, there.get(field) ?? null];
    return one === other ? [] : [{ device, instance, field, first: one, second: other }];
  });
}

type Plain = Exclude<FieldValue, object> | null;

/** Values by their paths: "env.regs[3]", "timers.clock". */
function flatten(value: FieldValue, path = ""): Map<string, Plain> {
  if (typeof value !== "object" || value === null) return new Map([[path, value]]);
  const entries = Array.isArray(value)
    ? value.map((element: FieldValue, index) => [`${path}[${index}]`, element] as const)
    : Object.entries(value).map(
        ([name, element]) => [path === "" ? name : `${path}.${name}`, element] as const,
      );
  return new Map(entries.flatMap(([name, element]) => [...flatten(element as FieldValue, name)]));
}
