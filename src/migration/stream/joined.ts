/** Numbers and names as a stream has them, and one behind the other. Pure. */

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** A length in one byte, then the name. */
export function counted(name: string): Uint8Array {
  const bytes = encoder.encode(name);
  if (bytes.length > 255) throw new RangeError(`a name of ${bytes.length} bytes`);
  return joined(u8(bytes.length), bytes);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const encoder = new TextEncoder();
