/** A small stream, made by hand: a machine of two blocks and one device, with its description. */
import { encodeBlock, encodeSizes } from "../../../src/migration/stream/encode-ram.ts";
import { counted, joined, u8, u32 } from "../../../src/migration/stream/joined.ts";
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

/** Its RAM, in the end. */
export function memory(): Uint8Array {
  const bytes = new Uint8Array(4 * pageSize);
  for (const at of [0, 3 * pageSize]) bytes.set(page, at);
  bytes[pageSize + 2] = 9;
  return bytes;
}
