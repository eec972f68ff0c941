/** What ethtool's netlink family tells of an interface (Documentation/networking/ethtool-netlink.rst). */
import type { GenericNetlink } from "./generic.ts";
import {
  type Attribute,
  bytesOf,
  nestAttribute,
  nestOf,
  numberOf,
  textOf,
  u32Attribute,
  viewOf,
} from "./message.ts";

const family = "ethtool";
/** Of every request and reply. */
const header = { type: 1, index: 1, name: 2 } as const;
const rings = { get: 15, tcpDataSplit: 11, hdsThreshold: 17 } as const;
const splitNames = [undefined, "off", "on"] as const;
const features = { get: 11, changeable: 2, active: 4 } as const;
const bitset = { bits: 3, bit: 1, name: 2, value: 3 } as const;
const rss = { get: 38, table: 4 } as const;

export interface Rings {
  /** Headers and payload of TCP in buffers of their own; undefined: it does not say. */
  readonly split: "on" | "off" | undefined;
  /** Bytes up to which a packet is not split. */
  readonly threshold: number | undefined;
}

/** "off" can be switched on; "never" cannot. */
export type Feature = "on" | "off" | "never";

/** Throws UNSUPPORTED with EOPNOTSUPP where the driver tells nothing. */
export function readRings(netlink: GenericNetlink, index: number): Rings {
  return ringsOf(ask(netlink, rings.get, index));
}

/** By name, of every interface whose driver tells them. */
export function readAllRings(netlink: GenericNetlink): Map<string, Rings> {
  const attributes = [nestAttribute(header.type, [])];
  const replies = netlink.ask(family, { command: rings.get, attributes, dump: true });
  return new Map(
    replies.map((reply) => [textOf(nestOf(reply, header.type), header.name) ?? "", ringsOf(reply)]),
  );
}

/** undefined: this kernel does not know it. */
export function readFeature(
  netlink: GenericNetlink,
  index: number,
  name: string,
): Feature | undefined {
  return featureOf(ask(netlink, features.get, index), name);
}

/** The queues among which the flows are spread; undefined: it does not say. */
export function readSpread(netlink: GenericNetlink, index: number): readonly number[] | undefined {
  return spreadOf(ask(netlink, rss.get, index));
}

function ask(netlink: GenericNetlink, command: number, index: number): Attribute[] {
  const attributes = [nestAttribute(header.type, [u32Attribute(header.index, index)])];
  return netlink.ask(family, { command, attributes })[0] ?? [];
}

// What replies say.

export function ringsOf(reply: readonly Attribute[]): Rings {
  const split = numberOf(reply, rings.tcpDataSplit);
  return {
    split: split === undefined ? undefined : splitNames[split],
    threshold: numberOf(reply, rings.hdsThreshold),
  };
}

/** Those that can be changed are all features, with a value where they can; the active ones a list. */
export function featureOf(reply: readonly Attribute[], name: string): Feature | undefined {
  if (bitOf(reply, features.active, name) !== undefined) return "on";
  const bit = bitOf(reply, features.changeable, name);
  if (bit === undefined) return undefined;
  return bytesOf(bit, bitset.value) === undefined ? "never" : "off";
}

function bitOf(
  reply: readonly Attribute[],
  type: number,
  name: string,
): readonly Attribute[] | undefined {
  return nestOf(nestOf(reply, type), bitset.bits)
    .filter((attribute) => attribute.type === bitset.bit)
    .map((attribute) => nestOf([attribute], bitset.bit))
    .find((bit) => textOf(bit, bitset.name) === name);
}

export function spreadOf(reply: readonly Attribute[]): readonly number[] | undefined {
  const table = bytesOf(reply, rss.table);
  if (table === undefined || table.length === 0 || table.length % 4 !== 0) return undefined;
  const view = viewOf(table);
  const entries = Array.from({ length: table.length / 4 }, (_, at) => view.getUint32(at * 4, true));
  return [...new Set(entries)].sort((one, other) => one - other);
}
