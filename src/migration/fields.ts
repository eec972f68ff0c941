/** A device's bytes as the fields that the stream's description says they are. Pure. */
import type { Device, Field, Structure } from "./description.ts";
import { sectionType } from "./format.ts";
import { hex } from "./malformed.ts";

/** Integers that a number cannot have exactly, and bytes, are hexadecimal: "0x…", and without. */
export type FieldValue =
  | number
  | string
  | boolean
  | null
  | readonly FieldValue[]
  | { readonly [name: string]: FieldValue };

export interface Decoded {
  readonly fields: { readonly [name: string]: FieldValue };
  /** Bytes that the description tells of. */
  readonly length: number;
}

/** Where the bytes are not what the description says: its path, and why. */
export class Mismatch extends Error {}

/** Structures in structures; QEMU's have less than ten. */
const depthMax = 64;
/** Elements of one device, all arrays together: a description of a few bytes may claim any number. */
const elementsMax = 1 << 22;

/** Throws Mismatch. */
export function decodeDevice(device: Device, bytes: Uint8Array): Decoded {
  const reader = new Reader(bytes);
  const fields = reader.structure(device, device.name, 0);
  return { fields, length: reader.at };
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #elements = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  structure(
    { fields = [], subsections = [] }: Structure,
    path: string,
    depth: number,
  ): { [name: string]: FieldValue } {
    if (depth > depthMax) throw new Mismatch(`${path}: more than ${depthMax} structures deep`);
    const values = new Map<string, FieldValue>();
    for (const field of fields) this.#fieldInto(values, field, `${path}/${field.name}`, depth);
    for (const subsection of subsections) {
      const name = this.#subsectionName(subsection, path);
      values.set(name, this.structure(subsection, name, depth + 1));
    }
    return Object.fromEntries(values);
  }

  /** Elements of one array come with an index, or in several pieces of the same name. */
  #fieldInto(values: Map<string, FieldValue>, field: Field, path: string, depth: number): void {
    const isArray = field.array_len !== undefined || field.index !== undefined;
    const elements = Array.from({ length: this.#countOf(field, path) }, () =>
      this.#one(field, path, depth),
    );
    const before = values.get(field.name);
    if (before === undefined && !isArray) values.set(field.name, elements[0] ?? null);
    else values.set(field.name, [...asArray(before), ...elements]);
  }

  #countOf({ array_len: count = 1, size }: Field, path: string): number {
    this.#elements += count;
    if (this.#elements > elementsMax || count * size > this.#bytes.length - this.at)
      throw new Mismatch(`${path}: ${count} of ${size} bytes, and ${this.#left()} are left`);
    return count;
  }

  #left(): number {
    return this.#bytes.length - this.at;
  }

  #one(field: Field, path: string, depth: number): FieldValue {
    const { type, size, struct } = field;
    const begin = this.at;
    if (size > this.#left())
      throw new Mismatch(`${path}: ${size} bytes, and ${this.#left()} are left`);
    if (struct?.fields === undefined || type !== "struct") return this.#plain(type, size, path);
    const value = this.structure(struct, path, depth + 1);
    if (this.at - begin !== size)
      throw new Mismatch(`${path}: ${this.at - begin} bytes of fields, and ${size} of structure`);
    return value;
  }

  #plain(type: string, size: number, path: string): FieldValue {
    const bytes = this.#bytes.subarray(this.at, this.at + size);
    const offset = this.at;
    this.at += size;
    const integer = integers.get(type);
    if (integer !== undefined && integer.size === size)
      return exact(integer.read(this.#view, offset));
    if (type === "bool") return bytes[0] !== 0;
    if (type === "capability") return new TextDecoder().decode(bytes.subarray(1));
    if (type === "nullptr" || type === "ptr-marker") return marker(bytes, path);
    return bytes.toHex();
  }

  #subsectionName({ vmsd_name: wanted }: Structure, path: string): string {
    const begin = this.at;
    const length = this.#bytes[begin + 1] ?? 0;
    const name = new TextDecoder().decode(this.#bytes.subarray(begin + 2, begin + 2 + length));
    this.at = begin + 2 + length + 4;
    if (this.#bytes[begin] !== sectionType.subsection || name !== wanted || this.#left() < 0)
      throw new Mismatch(`${path}: no subsection ${wanted}`);
    return name;
  }
}

function asArray(value: FieldValue | undefined): readonly FieldValue[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

type Read = (view: DataView, offset: number) => number | bigint;

/** By the names that QEMU's migration/vmstate-types.c gives them. */
const integers = new Map<string, { size: number; read: Read }>([
  ["int8", { size: 1, read: (view, at) => view.getInt8(at) }],
  ["int16", { size: 2, read: (view, at) => view.getInt16(at) }],
  ["int32", { size: 4, read: (view, at) => view.getInt32(at) }],
  ["int32 equal", { size: 4, read: (view, at) => view.getInt32(at) }],
  ["int32 le", { size: 4, read: (view, at) => view.getInt32(at) }],
  ["int64", { size: 8, read: (view, at) => view.getBigInt64(at) }],
  ["int64 equal", { size: 8, read: (view, at) => view.getBigInt64(at) }],
  ["timer", { size: 8, read: (view, at) => view.getBigInt64(at) }],
  ["uint8", { size: 1, read: (view, at) => view.getUint8(at) }],
  ["uint8 equal", { size: 1, read: (view, at) => view.getUint8(at) }],
  ["uint16", { size: 2, read: (view, at) => view.getUint16(at) }],
  ["uint16 equal", { size: 2, read: (view, at) => view.getUint16(at) }],
  ["uint32", { size: 4, read: (view, at) => view.getUint32(at) }],
  ["uint32 equal", { size: 4, read: (view, at) => view.getUint32(at) }],
  ["uint64", { size: 8, read: (view, at) => view.getBigUint64(at) }],
]);

function exact(value: number | bigint): FieldValue {
  if (typeof value === "number") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : hex(BigInt.asUintN(64, value));
}

/** Of a pointer in an array: '0', it is null, or '1'. */
function marker(bytes: Uint8Array, path: string): FieldValue {
  if (bytes.length === 1 && bytes[0] === 0x30) return null;
  if (bytes.length === 1 && bytes[0] === 0x31) return true;
  throw new Mismatch(`${path}: ${bytes.toHex()} where a pointer is or is not`);
}
