/** The header of every message. vfio-user specification, "Header". */
import { RecordLayout } from "../../vfio/record.ts";
import { decodeStruct, Malformed } from "./malformed.ts";

export type MessageType = "command" | "reply";

export interface Header {
  /** The sender's own; a reply has that of its command. */
  readonly id: number;
  /** commands.ts */
  readonly command: number;
  /** Of the whole message; bytes. */
  readonly size: number;
  readonly type: MessageType;
  /** Of a command: none is to be sent. */
  readonly noReply: boolean;
  /** Of a reply: the command failed. Some peers send a payload all the same; it means nothing. */
  readonly isError: boolean;
  /** Why; positive, but may be 0. */
  readonly errno: number;
}

const layout = new RecordLayout({
  id: "u16",
  command: "u16",
  size: "u32",
  flags: "u32",
  errno: "u32",
});
/** Bytes. */
export const headerSize = layout.size;

const typeMask = 0xf;
const types = ["command", "reply"] as const;
const noReplyFlag = 1 << 4;
const errorFlag = 1 << 5;

/** Of the longest structs that stand before data: DMA_UNMAP's two. Bytes. */
const structsMax = 40;

/** The largest message between peers of which one takes so many bytes of data; bytes. */
export function messageSizeMax(maxDataXferSize: number): number {
  return headerSize + structsMax + maxDataXferSize;
}

export function encodeHeader(header: Header): Uint8Array<ArrayBuffer> {
  const flags =
    types.indexOf(header.type) |
    (header.noReply ? noReplyFlag : 0) |
    (header.isError ? errorFlag : 0);
  return layout.encode({ ...header, flags });
}

/** Throws Malformed for a header that no message can have, or of more than `sizeMax` bytes. */
export function decodeHeader(bytes: Uint8Array, sizeMax: number): Header {
  decodeStruct(layout, "a header", bytes);
  const header = readHeader(bytes);
  const { size, type } = header;
  if (size < headerSize || size > sizeMax)
    throw new Malformed({
      offset: 4,
      expected: `a message size from ${headerSize} to ${sizeMax}`,
      found: `${size}`,
    });
  if (type === undefined)
    throw new Malformed({ offset: 8, expected: "a command or a reply", found: "neither" });
  return { ...header, type };
}

/** Whatever its fields say: of a type that is none, it is undefined. Other flags are ignored. */
export function readHeader(
  bytes: Uint8Array,
): Omit<Header, "type"> & { readonly type: MessageType | undefined } {
  const { id, command, size, flags, errno } = layout.decode(bytes);
  const type = types[flags & typeMask];
  const noReply = (flags & noReplyFlag) !== 0;
  return { id, command, size, type, noReply, isError: (flags & errorFlag) !== 0, errno };
}
