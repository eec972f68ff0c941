/** Big-endian numbers and names, one behind the other: what Cursor reads. */

const encoder = new TextEncoder();

export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  u16(value: number): this {
    const part = new DataView(new ArrayBuffer(2));
    part.setUint16(0, value);
    return this.#put(part);
  }

  u32(value: number): this {
    const part = new DataView(new ArrayBuffer(4));
    part.setUint32(0, value);
    return this.#put(part);
  }

  u64(value: number | bigint): this {
    const part = new DataView(new ArrayBuffer(8));
    part.setBigUint64(0, BigInt(value));
    return this.#put(part);
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  text(text: string): this {
    return this.bytes(encoder.encode(text));
  }

  /** Its length in one byte, then the name, of at most 255 bytes. */
  name(name: string): this {
    const bytes = encoder.encode(name);
    if (bytes.length > 255) throw new RangeError(`a name of ${bytes.length} bytes`);
    return this.u8(bytes.length).bytes(bytes);
  }

  build(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #put(part: DataView): this {
    return this.bytes(new Uint8Array(part.buffer));
  }
}
