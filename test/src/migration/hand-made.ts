/** A small stream, made by hand: a machine of two blocks and one device, with its description. */
import { encodeBlock, encodeSizes } from "../../../src/migration/stream/encode-ram.ts";
import { counted, joined, u8, u16, u32, u64 } from "../../../src/migration/stream/joined.ts";
import { encodeRecord, type RamRecord } from "./records.ts";

export const pageSize = 4096;

const blocks = [
  { name: "pc.ram", size: 4 * pageSize },
  { name: "/rom@etc/../x", size: pageSize },
];

export const page = new Uint8Array(pageSize).fill(7);

const records: readonly RamRecord[] = [
  { kind: "page", block: "pc.ram", offset: 0, bytes: page },
  { kind: "zero", offset: pageSize },
  { kind: "zero", offset: 2 * pageSize },
  { kind: "page", offset: 3 * pageSize, bytes: page },
  { kind: "page", block: "/rom@etc/../x", offset: 0, bytes: page },
  { kind: "xbzrle", block: "pc.ram", offset: pageSize, bytes: Uint8Array.of(2, 1, 9) },
];

const end = encodeRecord({ kind: "end" });
const footer = (id: number) => joined(u8(0x7e), u32(id));
const named = (id: number, name: string, version: number) =>
  joined(u32(id), counted(name), u32(0), u32(version));

const device = joined(u32(0x12345678), Uint8Array.of(1, 2, 3, 4, 0));
const description = {
  page_size: pageSize,
  devices: [
    {
      name: "timer",
      instance_id: 0,
      vmsd_name: "timer",
      version: 2,
      fields: [
        { name: "ticks", type: "uint32", size: 4 },
        { name: "bytes", type: "uint8", size: 1, array_len: 4 },
        { name: "on", type: "bool", size: 1 },
      ],
    },
  ],
};

export const fields = { ticks: 0x12345678, bytes: [1, 2, 3, 4], on: false };

export function makeStream({ hasDescription = true } = {}): Uint8Array {
  const total = blocks.reduce((sum, { size }) => sum + size, 0);
  const text = new TextEncoder().encode(JSON.stringify(description));
  return joined(
    Uint8Array.fromHex("5145564d00000003"),
    joined(u8(7), u32(2), new TextEncoder().encode("pc")),
    joined(u8(1), named(2, "ram", 4), encodeSizes(total), ...blocks.map(encodeBlock), end),
    footer(2),
    joined(u8(3), u32(2), ...records.map(encodeRecord), end),
    footer(2),
    joined(u8(4), named(5, "timer", 2), device),
    footer(5),
    u8(0),
    hasDescription ? joined(u8(6), u32(text.length), text) : new Uint8Array(),
  );
}

/** A list of blocks: one, of one page. */
const list = joined(encodeSizes(pageSize), encodeBlock({ name: "a", size: pageSize }));

/** So many pages, each once more the same one, in a section that does not end. */
export function makePages(count: number): Uint8Array {
  const record = encodeRecord({ kind: "page", block: "a", offset: 0, bytes: page });
  return joined(
    Uint8Array.fromHex("5145564d00000003"),
    joined(u8(1), named(2, "ram", 4), list, end, footer(2), u8(3), u32(2)),
    ...Array.from({ length: count }, () => record),
  );
}

/** A postcopy of one page, which the main channel has as zeros, and another that has it again. */
export function makePostcopy(): { main: Uint8Array; urgent: Uint8Array } {
  const main = joined(
    ...[Uint8Array.fromHex("5145564d00000003"), u8(8), u16(3), u16(0)],
    joined(u8(1), named(2, "ram", 4), list, end, footer(2)),
    joined(u8(3), u32(2), encodeRecord({ kind: "zero", block: "a", offset: 0 }), end, footer(2)),
    u8(0),
  );
  return { main, urgent: encodeRecord({ kind: "page", block: "a", offset: 0, bytes: page }) };
}

/** A machine of one VFIO device, whose state is in channels: QEMU, hw/vfio/migration-multifd.c. */
export const vfioName = "0000:00:02.0/vfio";

export function makeVfioStream(): Uint8Array {
  const endOfState = vfioTag(1);
  const endOfRound = joined(encodeRecord({ kind: "flush" }), end, footer(2));
  return joined(
    ...[Uint8Array.fromHex("5145564d00000003"), u8(7), u32(2), new TextEncoder().encode("pc")],
    joined(u8(1), named(2, "ram", 4), list, endOfRound),
    joined(u8(1), named(3, vfioName, 1), vfioTag(3), endOfState, footer(3)),
    joined(u8(3), u32(2), endOfRound),
    joined(u8(3), u32(3), endOfState, footer(3)),
    joined(u8(4), named(3, vfioName, 1), vfioTag(6), footer(3)), // it is to load its configuration
    joined(u8(4), named(5, "timer", 2), device, footer(5)),
    u8(0),
  );
}

/** A channel of that stream: packets before the end of its last round, and behind it. */
export function makeChannel(
  number: number,
  before: readonly Uint8Array[],
  behind: readonly Uint8Array[],
): Uint8Array {
  const start = joined(multifdBegin, new Uint8Array(16), u8(number), new Uint8Array(39));
  const endOfRound = joined(multifdBegin, u32(1), new Uint8Array(308 + 8 * 128));
  return joined(start, endOfRound, ...before, endOfRound, ...behind);
}

export interface StatePacket {
  readonly index: number;
  readonly data: Uint8Array;
  readonly name?: string;
  readonly instance?: number;
  readonly version?: number;
  /** 1: it has the configuration. */
  readonly flags?: number;
}

/** Some of a device's state in a channel. */
export function statePacket(packet: StatePacket): Uint8Array {
  const payload = statePayload(packet);
  const { name = vfioName, instance = 0 } = packet;
  const padded = new Uint8Array(256);
  padded.set(new TextEncoder().encode(name));
  return joined(multifdBegin, u32(0x40), padded, u32(instance), u32(payload.length), payload);
}

export function statePayload({ index, data, version = 0, flags = 0 }: StatePacket): Uint8Array {
  return joined(u32(version), u32(index), u32(flags), data);
}

/** A packet's data that are the device's configuration. */
export function configData(bytes: Uint8Array): Uint8Array {
  return joined(vfioTag(2), bytes, vfioTag(1));
}

const multifdBegin = Uint8Array.fromHex("1122334400000001");

function vfioTag(number: number): Uint8Array {
  return u64(0xffffffffef100000n + BigInt(number));
}

/** Its RAM, in the end. */
export function memory(): Uint8Array {
  const bytes = new Uint8Array(4 * pageSize);
  for (const at of [0, 3 * pageSize]) bytes.set(page, at);
  bytes[pageSize + 2] = 9;
  return bytes;
}
