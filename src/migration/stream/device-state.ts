/**
 * The state of VFIO's devices in multifd's channels, whichever of them it comes through: QEMU,
 * hw/vfio/migration-multifd.c. Pure.
 */
import { Cursor } from "./cursor.ts";
import type { SectionName } from "./elements.ts";
import { limits } from "./format.ts";
import { hex, malformed, ofFile, quoted, truncated } from "./malformed.ts";
import type { DevicePacket } from "./multifd.ts";
import { vfioTag } from "./vfio.ts";

const version = 0;
const headerLength = 12;
const flagConfig = 1;
const noIndex = 2 ** 32 - 1;
const tagLength = 8;

export interface DeviceState {
  readonly name: string;
  readonly instance: number;
  readonly bytes: number;
  /** In the order in which the device is given them; the last has its configuration. */
  readonly records: readonly DeviceRecord[];
}

/** Where a packet is, and what the device has in it. */
export interface DeviceRecord {
  readonly tag: "dataState" | "configState";
  readonly bytes: number;
  readonly channel: string;
  readonly offset: number;
}

/** Puts it in order. */
export class DeviceStates {
  readonly #devices = new Map<string, Device>();
  #packets = 0;

  /** A device of the main channel: there can be state of it from now on. */
  start({ name, instance }: SectionName): void {
    const key = keyOf({ name, instance });
    if (!this.#devices.has(key)) this.#devices.set(key, new Device(name, instance));
  }

  /** Throws PROTOCOL. */
  take(packet: DevicePacket, channel: string): void {
    const { name, instance, offset } = packet;
    const device = this.#devices.get(keyOf(packet));
    if (device === undefined)
      throw malformed({
        offset,
        expected: "a VFIO device that has started",
        found: `${quoted(name)}, instance ${instance}`,
      });
    if (++this.#packets > limits.devicePackets)
      throw malformed({ offset, expected: "the end of devices' state", found: "too many packets" });
    device.take(packet, channel);
  }

  /** Of those that had any. Throws PROTOCOL, TRUNCATED: not all of it came. */
  finished(): readonly DeviceState[] {
    return [...this.#devices.values()].filter(({ isEmpty }) => !isEmpty).map((one) => one.state());
  }
}

function keyOf({ name, instance }: Pick<SectionName, "name" | "instance">): string {
  return `${instance} ${name}`;
}

class Device {
  readonly #name: string;
  readonly #instance: number;
  readonly #records = new Map<number, DeviceRecord>();
  #highest = -1;
  /** Number of the packet with the configuration. */
  #config = Number.POSITIVE_INFINITY;

  constructor(name: string, instance: number) {
    this.#name = name;
    this.#instance = instance;
  }

  get isEmpty(): boolean {
    return this.#records.size === 0;
  }

  take({ offset, payload }: DevicePacket, channel: string): void {
    const { index, isConfig, data } = readHeader(payload, offset);
    if (this.#records.has(index))
      throw malformed({ offset, expected: `${this.#text} once`, found: `packet ${index} again` });
    this.#highest = Math.max(this.#highest, index);
    if (isConfig) this.#config = Math.min(this.#config, index);
    if (this.#highest > this.#config)
      throw malformed({
        offset,
        expected: `${this.#text} to end with its configuration`,
        found: `packet ${this.#highest} behind it, which is packet ${this.#config}`,
      });
    const tag = isConfig ? "configState" : "dataState";
    const bytes = isConfig ? configLength(data, offset) : data.length;
    this.#records.set(index, { tag, bytes, channel, offset });
  }

  state(): DeviceState {
    const records: DeviceRecord[] = [];
    for (let index = 0; index <= this.#highest; index++) {
      const record = this.#records.get(index);
      if (record === undefined) throw this.#missing(index);
      records.push(record);
    }
    if (this.#highest !== this.#config) throw this.#missing(this.#highest + 1);
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    return { name: this.#name, instance: this.#instance, bytes, records };
  }

  /** Told at the packet of the highest number, which there is. */
  #missing(index: number): unknown {
    const { offset, channel } = this.#records.get(this.#highest) as DeviceRecord;
    const expected = `packet ${index} of ${this.#text}`;
    const error =
      index < this.#highest
        ? malformed({ offset, expected, found: `${this.#highest}, and never that one` })
        : truncated(offset, `${expected}, or its configuration`);
    return ofFile(error, channel);
  }

  get #text(): string {
    return `the state of ${quoted(this.#name)}, instance ${this.#instance}`;
  }
}

function readHeader(payload: Uint8Array, offset: number) {
  if (payload.length < headerLength)
    throw malformed({
      offset,
      expected: `at least ${headerLength} bytes of a device's state`,
      found: `${payload.length}`,
    });
  const cursor = new Cursor(payload, offset);
  const [found, index, flags] = [cursor.u32(), cursor.u32(), cursor.u32()];
  if (found !== version)
    throw malformed({
      offset,
      expected: `a device's state of version ${version}`,
      found: `${found}`,
    });
  if (index === noIndex)
    throw malformed({ offset, expected: "the number of a device's packet", found: hex(index) });
  return { index, isConfig: (flags & flagConfig) !== 0, data: cursor.rest() };
}

/** As a section has it, between two tags. */
function configLength(data: Uint8Array, offset: number): number {
  const length = data.length - 2 * tagLength;
  const cursor = new Cursor(data, offset);
  const isTagged =
    length >= 0 &&
    cursor.u64() === vfioTag("configState") &&
    cursor.take(length).length === length &&
    cursor.u64() === vfioTag("endOfState");
  if (isTagged) return length;
  throw malformed({
    offset,
    expected: "a device's configuration between its tags",
    found: `${data.length} other bytes`,
  });
}
