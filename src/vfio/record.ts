/**
 * Structs as VFIO and vfio-user write them: fixed fields, one after another, nothing between them, in
 * the host's order, which is little-endian wherever Bun runs.
 */

/** u64 is a bigint: addresses use all of its bits. */
type Kind = keyof typeof kinds;
export type RecordFields = Readonly<Record<string, Kind>>;
export type RecordValues<F extends RecordFields> = {
  -readonly [K in keyof F]: F[K] extends "u64" ? bigint : number;
};

const kinds = {
  u16: { size: 2, get: "getUint16", set: "setUint16" },
  u32: { size: 4, get: "getUint32", set: "setUint32" },
  i32: { size: 4, get: "getInt32", set: "setInt32" },
  u64: { size: 8, get: "getBigUint64", set: "setBigUint64" },
} as const;

export class RecordLayout<const F extends RecordFields> {
  /** Bytes. */
  readonly size: number;
  readonly #fields: readonly { name: string; kind: Kind; offset: number }[];

  constructor(fields: F) {
    let offset = 0;
    this.#fields = Object.entries(fields).map(([name, kind]) => {
      const field = { name, kind, offset };
      offset += kinds[kind].size;
      return field;
    });
    this.size = offset;
  }

  /** New bytes; what is not given is 0. */
  encode(values: Partial<RecordValues<F>>): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    const view = new DataView(bytes.buffer);
    for (const { name, kind, offset } of this.#fields) {
      const value = values[name] ?? 0;
      if (kind === "u64") view.setBigUint64(offset, BigInt(value), true);
      else view[kinds[kind].set](offset, Number(value), true);
    }
    return bytes;
  }

  /** What begins at `at`. Throws RangeError where the bytes end too early. */
  decode(bytes: Uint8Array, at = 0): RecordValues<F> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = ({ name, kind, offset }: { name: string; kind: Kind; offset: number }) => [
      name,
      view[kinds[kind].get](at + offset, true),
    ];
    return Object.fromEntries(this.#fields.map(read)) as RecordValues<F>;
  }
}

/** One after another. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
