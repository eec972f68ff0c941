/**
 * Netlink's format, netlink(7): messages, each a header and a payload, and attributes, each a length
 * and a type before a value; both are padded to four bytes. In host order, which is little-endian
 * wherever Bun runs. Pure: what is malformed or cut off is PROTOCOL.
 */
import { ZcError } from "../errors.ts";

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Whom it is for: the kernel's own is 0. */
  readonly port: number;
  readonly payload: Uint8Array;
}

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

const messageHeader = 16;
const attributeHeader = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are beside the type. */
const attributeTypeMask = 0x3fff;
const attributeLengthMax = 0xffff;

export function encodeMessage({ type, flags, sequence, port, payload }: Message): Uint8Array {
  const bytes = new Uint8Array(padded(messageHeader + payload.length));
  const view = viewOf(bytes);
  view.setUint32(0, messageHeader + payload.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  view.setUint32(12, port, true);
  bytes.set(payload, messageHeader);
  return bytes;
}

/** Of what one read(2) gave. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  return pieces(bytes, messageHeader, (at) => view.getUint32(at, true)).map(({ at, payload }) => ({
    type: view.getUint16(at + 4, true),
    flags: view.getUint16(at + 6, true),
    sequence: view.getUint32(at + 8, true),
    port: view.getUint32(at + 12, true),
    payload,
  }));
}

export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const sizes = attributes.map(({ value }) => padded(attributeHeader + value.length));
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const [index, { type, value }] of attributes.entries()) {
    const length = attributeHeader + value.length;
    if (length > attributeLengthMax) throw new RangeError(`an attribute of ${length} bytes`);
    view.setUint16(at, length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + attributeHeader);
    at += sizes[index] ?? 0;
  }
  return bytes;
}

export function decodeAttributes(bytes: Uint8Array): Attribute[] {
  const view = viewOf(bytes);
  return pieces(bytes, attributeHeader, (at) => view.getUint16(at, true)).map(
    ({ at, payload }) => ({
      type: view.getUint16(at + 2, true) & attributeTypeMask,
      value: payload,
    }),
  );
}

/** Cut where each says that it ends; the last need not be padded. */
function pieces(bytes: Uint8Array, header: number, lengthAt: (at: number) => number) {
  const found: { readonly at: number; readonly payload: Uint8Array }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.length - at;
    if (left < header) throw malformed(`${left} bytes where a header of ${header} should be`);
    const length = lengthAt(at);
    if (length < header || length > left) throw malformed(`a length of ${length}, of ${left} left`);
    found.push({ at, payload: bytes.subarray(at + header, at + length) });
    at += padded(length);
  }
  return found;
}

/** The value of the first that has this type. */
export function bytesOf(attributes: readonly Attribute[], type: number): Uint8Array | undefined {
  return attributes.find((attribute) => attribute.type === type)?.value;
}

/** An unsigned number of one, two or four bytes; undefined where there is none. */
export function numberOf(attributes: readonly Attribute[], type: number): number | undefined {
  const value = bytesOf(attributes, type);
  if (value?.length === 1) return value[0];
  if (value?.length === 2) return viewOf(value).getUint16(0, true);
  return value?.length === 4 ? viewOf(value).getUint32(0, true) : undefined;
}

/** A text that a NUL ends; undefined where there is none. */
export function textOf(attributes: readonly Attribute[], type: number): string | undefined {
  const value = bytesOf(attributes, type);
  return value && new TextDecoder().decode(value).split("\0")[0];
}

/** The attributes within one; none where that is not there. */
export function nestOf(attributes: readonly Attribute[], type: number): readonly Attribute[] {
  const value = bytesOf(attributes, type);
  return value === undefined ? [] : decodeAttributes(value);
}

export function u32Attribute(type: number, value: number): Attribute {
  return { type, value: new Uint8Array(new Uint32Array([value]).buffer) };
}

export function textAttribute(type: number, text: string): Attribute {
  return { type, value: new TextEncoder().encode(`${text}\0`) };
}

export function nestAttribute(type: number, attributes: readonly Attribute[]): Attribute {
  return { type: type | nested, value: encodeAttributes(attributes) };
}

/** NLA_F_NESTED */
const nested = 0x8000;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function malformed(reason: string): ZcError {
  return new ZcError({ code: "PROTOCOL", operation: "read", subject: "netlink", reason });
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
