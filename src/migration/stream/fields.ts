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
export class Mismatch extends Error {
  /** Names in a path are the stream's: as many as fit on a line. */
  constructor(path: string, reason: string) {
    super(`${path.length > pathMax ? `${path.slice(0, pathMax)}…` : path}: ${reason}`);
  }
}

const pathMax = 200;

/** Structures in structures; QEMU's have less than ten. */
const depthMax = 64;

/** A description of a few bytes may claim any number of elements, for any number of devices. */
export class Budget {
  #left: number;

  constructor(elements = 1 << 22) {
    this.#left = elements;
  }

  /** Whether so many more are not too many. */
  spend(elements: number): boolean {
    this.#left -= elements;
    return this.#left >= 0;
  }
}

/** Throws Mismatch. */
export function decodeDevice(device: Device, bytes: Uint8Array, budget = new Budget()): Decoded {
  const reader = new Reader(bytes, budget);
  const fields = reader.structure(device, device.name, 0);
  return { fields, length: reader.at };
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #budget: Budget;

  constructor(bytes: Uint8Array, budget: Budget) {
    this.#bytes = bytes;
    this.#budget = budget;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  structure(
    { fields = [], subsections = [] }: Structure,
    path: string,
    depth: number,
  ): { [name: string]: FieldValue } {
    if (depth > depthMax) throw new Mismatch(path, `more than ${depthMax} structures deep`);
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
    if (before === undefined) values.set(field.name, isArray ? elements : (elements[0] ?? null));
    else if (isList(before)) for (const element of elements) before.push(element);
    else values.set(field.name, [before, ...elements]);
  }

  #countOf({ array_len: count = 1, size }: Field, path: string): number {
    if (count * size > this.#left())
      throw new Mismatch(path, `${count} of ${size} bytes, and ${this.#left()} are left`);
    if (!this.#budget.spend(count)) throw new Mismatch(path, "too many fields");
    return count;
  }

  #left(): number {
    return this.#bytes.length - this.at;
  }

  #one(field: Field, path: string, depth: number): FieldValue {
    const { type, size, struct } = field;
    const begin = this.at;
    if (size > this.#left())
      throw new Mismatch(path, `${size} bytes, and ${this.#left()} are left`);
    if (struct?.fields === undefined || type !== "struct") return this.#plain(type, size, path);
    const value = this.structure(struct, path, depth + 1);
    if (this.at - begin !== size)
      throw new Mismatch(path, `${this.at - begin} bytes of fields, and ${size} of structure`);
    return value;
  }

  #plain(type: string, size: number, path: string): FieldValue {
    const bytes = this.#bytes.subarray(this.at, this.at + size);
    const offset = this.at;
    this.at += size;
    const integer = integers.get(type);
    if (integer !== undefined && integer.size === size)
      return exact(integer.read(this.#view, offset));
    if (type === "bool" && size === 1) return bytes[0] !== 0;
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
      throw new Mismatch(path, `no subsection ${wanted?.slice(0, pathMax)}`);
    return name;
  }
}

/** Of this reader's own making. */
function isList(value: FieldValue): value is FieldValue[] {
  return Array.isArray(value);
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
  throw new Mismatch(path, `${bytes.subarray(0, 8).toHex()} where a pointer is or is not`);
}
