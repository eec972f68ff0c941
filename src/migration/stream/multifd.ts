/** A channel of multifd: QEMU, migration/multifd.h. Bytes in, packets out. Pure. */
import type { Cursor } from "./cursor.ts";
import { hex, malformed } from "./malformed.ts";

export const multifdMagic = 0x11223344;
const version = 1;
/** QEMU's MULTIFD_PACKET_SIZE; bytes of pages. */
const packetSize = 512 << 10;
/** A packet's contents; compression can make them more. */
const payloadMax = 3 << 20;
const pagesMax = 4096;
const initLength = 64;
const headerLength = 320;
const deviceHeaderLength = 276;

const flagSync = 1;
const flagDevice = 0x40;
const methodShift = 1;
const methodMask = 0x1f;
/** By the bits of the flags that tell of it. */
const methods = new Map([
  [0, "none"],
  [1, "zlib"],
  [2, "zstd"],
  [4, "qpl"],
  [8, "uadk"],
  [16, "qatzip"],
] as const);

export type Method = "none" | "zlib" | "zstd" | "qpl" | "uadk" | "qatzip";

/** The first packet of a channel. */
export interface ChannelStart {
  /** The source's, hexadecimal. */
  readonly uuid: string;
  readonly channel: number;
}

export type MultifdPacket = RamPacket | DevicePacket;

export interface RamPacket {
  readonly type: "ram";
  readonly offset: number;
  /** The channels are to catch up with each other behind it. */
  readonly isSync: boolean;
  readonly method: Method;
  /** Over all channels. */
  readonly number: bigint;
  readonly block: string;
  readonly normal: number;
  readonly zero: number;
  /** be64 each, the normal pages' first: a view, as long as the bytes live. */
  readonly offsets: Uint8Array;
  readonly payload: Uint8Array;
}

/** VFIO's device state. */
export interface DevicePacket {
  readonly type: "device";
  readonly offset: number;
  readonly isSync: false;
  readonly name: string;
  readonly instance: number;
  readonly payload: Uint8Array;
}

/** Throws Incomplete, PROTOCOL. */
export function readChannelStart(cursor: Cursor): ChannelStart {
  cursor.require(initLength);
  readMagic(cursor);
  const uuid = cursor.take(16).toHex();
  const channel = cursor.u8();
  cursor.take(initLength - 25);
  return { uuid, channel };
}

/** Throws Incomplete, PROTOCOL. */
export function readPacket(cursor: Cursor, pageSize: number): MultifdPacket {
  const { offset } = cursor;
  readMagic(cursor);
  const flags = cursor.u32();
  if (flags & flagDevice) return readDevicePacket(cursor, offset, flags);
  cursor.require(headerLength - 12 + (8 * packetSize) / pageSize);
  cursor.u32(); // pages_alloc: how many offsets there is room for
  const [normal, payloadLength] = [cursor.u32(), cursor.u32()];
  const number = cursor.u64();
  const zero = cursor.u32();
  cursor.take(28); // unused
  const block = nameIn(cursor.take(256));
  const offsets = cursor.take((8 * packetSize) / pageSize);
  if (normal > pagesMax || zero > pagesMax || (normal + zero) * 8 > offsets.length)
    throw malformed({
      offset,
      expected: `at most ${offsets.length / 8} pages in a packet`,
      found: `${normal} and ${zero}`,
    });
  // Without pages a length can be left over from the packet before: QEMU 7.2.
  const payload = takePayload(cursor, normal === 0 ? 0 : payloadLength, offset);
  const isSync = (flags & flagSync) !== 0;
  const method = methodOf(flags, offset);
  return { type: "ram", offset, isSync, method, number, block, normal, zero, offsets, payload };
}

function readDevicePacket(cursor: Cursor, offset: number, flags: number): DevicePacket {
  cursor.require(deviceHeaderLength - 12);
  const name = nameIn(cursor.take(256));
  const instance = cursor.u32();
  const payload = takePayload(cursor, cursor.u32(), offset);
  if (flags & flagSync)
    throw malformed({ offset, expected: "a device's state, or the end of a round", found: "both" });
  return { type: "device", offset, isSync: false, name, instance, payload };
}

function readMagic(cursor: Cursor): void {
  const { offset } = cursor;
  const [magic, found] = [cursor.u32(), cursor.u32()];
  if (magic !== multifdMagic)
    throw malformed({ offset, expected: `multifd's ${hex(multifdMagic)}`, found: hex(magic) });
  if (found !== version)
    throw malformed({ offset: offset + 4, expected: "version 1", found: `${found}` });
}

function takePayload(cursor: Cursor, length: number, offset: number): Uint8Array {
  if (length > payloadMax)
    throw malformed({
      offset,
      expected: `at most ${payloadMax} bytes in a packet`,
      found: `${length}`,
    });
  return cursor.take(length);
}

function methodOf(flags: number, offset: number): Method {
  const bits = (flags >> methodShift) & methodMask;
  const method = methods.get(bits as 0);
  if (method !== undefined) return method;
  throw malformed({ offset, expected: "a packet's compression", found: `flags ${hex(flags)}` });
}

/** NUL-padded. */
function nameIn(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
}
