/** VFIO's state in channels: put in order, or refused. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Cursor } from "../../../../src/migration/stream/cursor.ts";
import { DeviceStates } from "../../../../src/migration/stream/device-state.ts";
import { readPacket } from "../../../../src/migration/stream/multifd.ts";
import { refusalsOf } from "../../refusal.ts";
import { configData, type StatePacket, statePacket, statePayload, vfioName } from "../hand-made.ts";

const { refusal: protocol } = refusalsOf("PROTOCOL", 500);
const { refusal: truncation } = refusalsOf("TRUNCATED", 500);

const data = Uint8Array.of(1, 2, 3);
const config = configData(Uint8Array.of(9));

/** Each at an offset of its own, in the channel that its number says. */
function statesOf(packets: readonly StatePacket[], instances = [0]) {
  const states = new DeviceStates();
  for (const instance of instances) states.start({ id: 3, name: vfioName, instance, version: 1 });
  for (const [offset, packet] of packets.entries()) {
    const { name = vfioName, instance = 0 } = packet;
    const payload = statePayload(packet);
    const read = { type: "device", offset, isSync: false, name, instance, payload } as const;
    states.take(read, `channel-${offset % 3}`);
  }
  return states.finished();
}

test("in order, however the packets come", () => {
  const sizes = fc.array(fc.nat(20), { maxLength: 12 });
  const devices = fc.array(sizes, { maxLength: 3 });
  const seeds = fc.infiniteStream(fc.nat(1000));
  fc.assert(
    fc.property(devices, seeds, (devices, seeds) => {
      const packets = devices.flatMap((sizes, instance) => [
        ...sizes.map((size, index) => ({ instance, index, data: new Uint8Array(size) })),
        { instance, index: sizes.length, data: config, flags: 1 },
      ]);
      const keyed = packets.map((packet) => ({ packet, key: seeds.next().value as number }));
      const shuffled = keyed.toSorted((a, b) => a.key - b.key).map(({ packet }) => packet);
      const states = statesOf(shuffled, [...devices.keys()]);
      expect(states).toEqual(
        devices.map((sizes, instance) => ({
          ...{ name: vfioName, instance, bytes: sizes.reduce((sum, size) => sum + size, 1) },
          records: [...sizes, 1].map((bytes, index) => {
            const isThis = (one: StatePacket) => one.instance === instance && one.index === index;
            const offset = shuffled.findIndex(isThis);
            const tag = index === sizes.length ? "configState" : "dataState";
            return { tag, bytes, channel: `channel-${offset % 3}`, offset };
          }),
        })),
      );
    }),
    { numRuns: 200 },
  );
});

test("a device of which nothing came has no state here", () => {
  expect(statesOf([])).toEqual([]);
});

test("a device that starts again keeps what it has", () => {
  const states = new DeviceStates();
  const section = { id: 3, name: vfioName, instance: 0, version: 1 };
  states.start(section);
  const payload = statePayload({ index: 0, data: config, flags: 1 });
  const at = { type: "device", offset: 0, isSync: false, name: vfioName, instance: 0 } as const;
  states.take({ ...at, payload }, "channel");
  states.start(section);
  expect(states.finished().length).toBe(1);
});

test.each<[string, StatePacket[], string]>([
  [
    "a device that has not started",
    [{ index: 0, data, instance: 1 }],
    `0x0: expected a VFIO device that has started, found "${vfioName}", instance 1`,
  ],
  ["another version", [{ index: 0, data, version: 1 }], "state of version 0, found 1"],
  ["no number", [{ index: 2 ** 32 - 1, data }], "number of a device's packet, found 0xffffffff"],
  [
    "a number twice",
    [
      { index: 4, data },
      { index: 4, data },
    ],
    "0x1: expected the state of ",
  ],
  [
    "a packet behind the last",
    [
      { index: 1, data: config, flags: 1 },
      { index: 2, data },
    ],
    "to end with its configuration, found packet 2 behind it, which is packet 1",
  ],
  [
    "a last packet before others",
    [
      { index: 5, data },
      { index: 1, data: config, flags: 1 },
    ],
    "to end with its configuration, found packet 5 behind it, which is packet 1",
  ],
  [
    "two last packets",
    [
      { index: 5, data: config, flags: 1 },
      { index: 1, data: config, flags: 1 },
    ],
    "found packet 5 behind it, which is packet 1",
  ],
  [
    "two last packets, in order",
    [
      { index: 1, data: config, flags: 1 },
      { index: 5, data: config, flags: 1 },
    ],
    "found packet 5 behind it, which is packet 1",
  ],
  [
    "a packet that never comes",
    [
      { index: 0, data },
      { index: 3, data: config, flags: 1 },
      { index: 1, data },
    ],
    `0x1 of channel-1: expected packet 2 of the state of "${vfioName}", instance 0, found 3, and never that one`,
  ],
  ["no configuration", [{ index: 0, data, flags: 1 }], "configuration between its tags, found 3"],
  [
    "half a configuration",
    [{ index: 0, data: config.subarray(0, -1), flags: 1 }],
    "configuration between its tags, found 16 other bytes",
  ],
  [
    "another configuration",
    [{ index: 0, data: new Uint8Array(40), flags: 1 }],
    "configuration between its tags, found 40 other bytes",
  ],
])("%s", (_, packets, message) => {
  expect(protocol(() => statesOf(packets))).toContain(message);
});

test("a configuration that never comes", () => {
  expect(truncation(() => statesOf([{ index: 0, data }]))).toContain(
    `0x0 of channel-0: expected packet 1 of the state of "${vfioName}", instance 0, or its configuration`,
  );
});

test("packets without end", () => {
  const states = new DeviceStates();
  states.start({ id: 3, name: vfioName, instance: 0, version: 1 });
  const payload = statePayload({ index: 0, data: new Uint8Array() });
  const view = new DataView(payload.buffer);
  const at = { type: "device", offset: 0, isSync: false, name: vfioName, instance: 0 } as const;
  const take = (index: number) => {
    view.setUint32(4, index);
    states.take({ ...at, payload }, "channel");
  };
  for (let index = 0; index < 1 << 20; index++) take(index);
  expect(protocol(() => take(1 << 20))).toContain("the end of devices' state, found too many");
});

test.each([
  ["nothing in it", (packet: Uint8Array) => packet.fill(0, 272, 276).subarray(0, 276), "12 bytes"],
  ["the end of a round too", (packet: Uint8Array) => packet.fill(0x41, 11, 12), "found both"],
  ["too much in it", (packet: Uint8Array) => packet.fill(0xff, 272, 276), "found 4294967295"],
])("a packet with %s", (_, change, message) => {
  const bytes = change(statePacket({ index: 0, data }));
  const states = new DeviceStates();
  states.start({ id: 3, name: vfioName, instance: 0, version: 1 });
  const read = () => {
    const packet = readPacket(new Cursor(bytes, 0), 4096);
    if (packet.type === "device") states.take(packet, "channel");
  };
  expect(protocol(read)).toContain(message);
});
