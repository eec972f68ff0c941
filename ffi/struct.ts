/**
 * C structs, declared as data: names and types here, offsets from C itself (zc_layouts), so that
 * the two cannot drift. A declaration that does not match what was compiled is refused.
 */
import { type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";
import { ZcError } from "../src/errors.ts";
import { library } from "./library.ts";

type NumberType = keyof typeof sizes;
/** A number, or bytes, as many as C has there. */
type FieldType = NumberType | "bytes";
export type Fields = Readonly<Record<string, FieldType>>;
export type Values<F extends Fields> = {
  [K in keyof F]: F[K] extends "bytes" ? Uint8Array : number;
};

const sizes = { i32: 4, u32: 4, i64: 8, u64: 8 } as const;
const layoutsCapacity = 16384;

export class Struct<const F extends Fields> {
  readonly name: string;
  readonly fields: F;
  #layout: Layout | undefined;

  constructor(name: string, fields: F) {
    this.name = name;
    this.fields = fields;
  }

  /** Throws where C was compiled from something else; every other method does so too. */
  verify(): void {
    this.#checked();
  }

  /** The struct's bytes; fields that are not given are 0. u64 -1 is its largest value. */
  pack(values: Partial<Values<F>>): Uint8Array {
    const layout = this.#checked();
    const bytes = new Uint8Array(layout.size);
    const view = new DataView(bytes.buffer);
    for (const [name, value] of Object.entries<number | Uint8Array | undefined>(values)) {
      const { offset, size } = fieldOf(layout, this.name, name);
      if (value instanceof Uint8Array) bytes.set(value.subarray(0, size), offset);
      else if (size === 4) view.setUint32(offset, Number(value), true);
      else view.setBigInt64(offset, BigInt(Number(value)), true);
    }
    return bytes;
  }

  /** The struct at this address, which must be alive. 64-bit fields are exact up to 2^53. */
  readAt(address: number): Values<F> {
    const layout = this.#checked();
    const readField = ([name, type]: [string, FieldType]): [string, number | Uint8Array] => [
      name,
      readValue(address, type, fieldOf(layout, this.name, name)),
    ];
    return Object.fromEntries(Object.entries(this.fields).map(readField)) as Values<F>;
  }

  /** One field of the struct at this address. */
  readField<K extends keyof F & string>(address: number, name: K): Values<F>[K] {
    const place = fieldOf(this.#checked(), this.name, name);
    return readValue(address, this.fields[name] as FieldType, place) as Values<F>[K];
  }

  /** The struct in these bytes, as a call filled them. */
  unpack(bytes: Uint8Array): Values<F> {
    return this.readAt(ptr(bytes));
  }

  /** Bytes for a call to fill, with one struct or several. */
  allocate(count = 1): Uint8Array {
    return new Uint8Array(this.#checked().size * count);
  }

  /** The first `count` structs in these bytes. */
  unpackAll(bytes: Uint8Array, count: number): Values<F>[] {
    const { size } = this.#checked();
    return Array.from({ length: count }, (_, index) => this.readAt(ptr(bytes) + index * size));
  }

  #checked(): Layout {
    this.#layout ??= check(this.name, this.fields);
    return this.#layout;
  }
}

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** Bytes are copied: the struct may be gone soon. */
function readValue(address: number, type: FieldType, { offset, size }: Place): number | Uint8Array {
  if (type !== "bytes") return Number(read[type](address as Pointer, offset));
  return new Uint8Array(toArrayBuffer(address as Pointer, offset, size).slice(0));
}

interface Layout {
  readonly size: number;
  readonly fields: ReadonlyMap<string, Place>;
}

function check(name: string, fields: Fields): Layout {
  const layout = layouts().get(name);
  if (layout === undefined) throw mismatch(`it has no struct ${name}`);
  for (const [field, type] of Object.entries(fields)) {
    const size = layout.fields.get(field)?.size;
    if (size === undefined || (type !== "bytes" && size !== sizes[type]))
      throw mismatch(`${name}.${field} differs`);
  }
  const missing = [...layout.fields.keys()].find((field) => !(field in fields));
  if (missing !== undefined) throw mismatch(`${name}.${missing} is not declared`);
  return layout;
}

function fieldOf(layout: Layout, name: string, field: string) {
  const found = layout.fields.get(field);
  if (found === undefined) throw mismatch(`${name} has no ${field}`);
  return found;
}

function mismatch(reason: string): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "load zc's C library",
    reason: `it was made from other sources: ${reason}`,
    hint: "unset ZC_LIBRARY, or build it again",
  });
}

function layouts(): ReadonlyMap<string, Layout> {
  known ??= parseLayouts(readLayouts());
  return known;
}

let known: ReadonlyMap<string, Layout> | undefined;

function readLayouts(): string {
  const bytes = new Uint8Array(layoutsCapacity);
  const length = library().zc_layouts(bytes, bytes.length);
  if (length < 0) throw mismatch("its layouts are too long");
  return new TextDecoder().decode(bytes.subarray(0, length));
}

/** Lines "struct field offset size"; the field "*" stands for the whole. */
export function parseLayouts(text: string): ReadonlyMap<string, Layout> {
  const all = new Map<string, Layout & { fields: Map<string, Place> }>();
  for (const line of text.trimEnd().split("\n")) {
    const [name = "", field = "", offset, size] = line.split(" ");
    if (field === "*") all.set(name, { size: Number(size), fields: new Map() });
    else all.get(name)?.fields.set(field, { offset: Number(offset), size: Number(size) });
  }
  return all;
}
