/** JSON on the control connection: its length as a big-endian u32, then the text. */
import { malformed } from "./malformed.ts";

export const frameHeaderSize = 4;

/** A kind of message. */
export interface FrameKind {
  readonly name: string;
  /** Bytes of JSON. */
  readonly max: number;
}

/** Throws PROTOCOL for what is too long. */
export function encodeFrame(kind: FrameKind, value: object): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(value));
  assertLength(kind, body.length);
  const frame = new Uint8Array(frameHeaderSize + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, frameHeaderSize);
  return frame;
}

/** From a frame's header, how many bytes to read. Throws PROTOCOL. */
export function frameLength(kind: FrameKind, header: Uint8Array): number {
  if (header.length !== frameHeaderSize) {
    throw malformed(`${kind.name} length`, "4 bytes", `${header.length}`);
  }
  const length = new DataView(header.buffer, header.byteOffset, header.length).getUint32(0);
  assertLength(kind, length);
  return length;
}

/** The JSON after the header; bytes that are no UTF-8 become U+FFFD. Throws PROTOCOL. */
export function parseBody(kind: FrameKind, body: Uint8Array): unknown {
  assertLength(kind, body.length);
  const text = new TextDecoder().decode(body);
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(kind.name, "JSON", `"${text}"`);
  }
}

function assertLength({ name, max }: FrameKind, length: number): void {
  if (length >= 1 && length <= max) return;
  throw malformed(`${name} length`, `1 to ${max}`, `${length}`);
}
