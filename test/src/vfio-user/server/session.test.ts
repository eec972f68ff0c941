/** Clients that come, go, and go in the midst of something. */
import { closeSync, writeSync } from "node:fs";
import { expect, test } from "vitest";
import { featureFlags, features } from "../../../../src/vfio/feature.ts";
import { Connection } from "../../../../src/vfio-user/connection.ts";
import { commands } from "../../../../src/vfio-user/protocol/commands.ts";
import { encodeDeviceInfo } from "../../../../src/vfio-user/protocol/device-info.ts";
import {
  dmaRegionFlags,
  dmaUnmapFlags,
  encodeDmaMap,
  encodeDmaUnmap,
} from "../../../../src/vfio-user/protocol/dma.ts";
import { encodeFeature, encodeMigState } from "../../../../src/vfio-user/protocol/feature.ts";
import { encodeHeader } from "../../../../src/vfio-user/protocol/header.ts";
import { encodeIrqSet, type IrqSet } from "../../../../src/vfio-user/protocol/irq.ts";
import {
  decodeRegionData,
  decodeRegionWritesReply,
  encodeRegionAccess,
  encodeRegionData,
  encodeRegionWrites,
  type RegionData,
} from "../../../../src/vfio-user/protocol/region.ts";
import { encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import { Session } from "../../../../src/vfio-user/server/session.ts";
import { openDescriptors, openedSince } from "../../../support/descriptors.ts";
import { defaults, socketPair } from "../pair.ts";
import { anyMigration, busDevice } from "./bus-device.ts";
import { attach, eventFd, memoryFile } from "./client.ts";

const data = Uint8Array.of(1, 2, 3, 4);
const write = (more: Partial<RegionData> = {}): RegionData => ({
  region: 0,
  offset: 0n,
  data,
  ...more,
});
const set = (more: Partial<IrqSet>): Uint8Array =>
  encodeIrqSet({ data: "eventfd", action: "trigger", index: 0, start: 0, count: 1, ...more });

test("a device is told of its client, of a reset, and of the client's end", async () => {
  const device = busDevice();
  const client = await attach(device);
  expect(device.events).toEqual(["attached"]);
  await client.get("DEVICE_RESET", new Uint8Array(0));
  await client.close();
  expect(device.events).toEqual(["attached", "reset asked", "reset disconnected", "detached"]);
});

test("who says no VERSION is nobody's client", async () => {
  const device = busDevice();
  const [near, far] = socketPair();
  const session = new Session(far, device);
  const client = new Connection(near, defaults);
  await expect(client.request("DEVICE_RESET", new Uint8Array(0))).rejects.toThrow("EINVAL");
  await Promise.all([client.ended, session.ended]);
  expect(device.events).toEqual([]);
});

test.each([
  ["a header", 7],
  ["a message", 20],
])(
  "a client that goes within %s leaves nothing behind, and the next one can come",
  async (_, count) => {
    const before = openDescriptors();
    const device = busDevice({ interrupts: { 0: 1 } });
    const [near, far] = socketPair();
    const session = new Session(far, device);
    const client = new Connection(near, defaults);
    await client.request("VERSION", encodeVersion({ major: 0, minor: 1 }));
    const [file, irq] = [memoryFile(4096), eventFd()];
    const map = encodeDmaMap({ flags: dmaRegionFlags.READ, addr: 0n, size: 4096n, offset: 0n });
    await client.request("DMA_MAP", map, { fds: [file] });
    await client.request("DEVICE_SET_IRQS", set({}), { fds: [irq.fd] });
    const header = { id: 9, command: commands.REGION_WRITE, size: 4096, errno: 0 } as const;
    const flags = { type: "command", noReply: false, isError: false } as const;
    writeSync(
      near.fd,
      Buffer.concat([encodeHeader({ ...header, ...flags }), new Uint8Array(64)]).subarray(0, count),
    );
    client[Symbol.dispose]();
    expect((await session.ended)?.code).toBe("PEER_RESET");
    expect(device.events).toEqual(["attached", "reset disconnected", "detached"]);
    await client.ended;
    closeSync(file);
    irq.close();
    await expect.poll(() => openedSince(before)).toEqual([]);
    await (await attach(device)).close();
  },
);

test("a client that goes while its device waits for its memory", async () => {
  const asked = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<unknown>();
  const device = busDevice({
    regions: {
      0: {
        size: 4096,
        write: async () => {
          await device.bus.read(0n, 8).catch(failed.resolve);
        },
      },
    },
  });
  const onRequest = () => {
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const client = await attach(device, { onRequest });
  await client.get(
    "DMA_MAP",
    encodeDmaMap({ flags: dmaRegionFlags.READ, addr: 0n, size: 4096n, offset: 0n }),
  );
  const posted = client.connection.post("REGION_WRITE", encodeRegionData(write()));
  await asked.promise;
  await posted;
  client.connection[Symbol.dispose]();
  expect(await failed.promise).toBeInstanceOf(Refusal);
  await client.session.ended;
  expect(device.events.at(-1)).toBe("detached");
  await expect(device.bus.read(0n, 8)).rejects.toThrow("ENOTCONN");
  expect(device.bus.trigger(0)).toBe(false);
});

test("what was posted before the end is done, and the device is told of the end after that", async () => {
  const done: string[] = [];
  const device = busDevice({
    regions: {
      0: {
        size: 4096,
        write: async (offset) => {
          await new Promise((resolve) => setImmediate(resolve));
          done.push(`${offset}`);
        },
      },
    },
    detached: () => void done.push("detached"),
  });
  const client = await attach(device);
  const offsets = Array.from({ length: 20 }, (_, at) => at);
  await Promise.all(
    offsets.map((at) =>
      client.connection.post("REGION_WRITE", encodeRegionData(write({ offset: BigInt(at) }))),
    ),
  );
  await client.close();
  expect(done).toEqual([...offsets.map(String), "detached"]);
});

test("memory is answered like a region of calls is", async () => {
  const memory = crypto.getRandomValues(new Uint8Array(8192));
  const dirty = new BigUint64Array(new ArrayBuffer(8));
  const device = busDevice({
    regions: {
      0: { memory, dirty },
      1: {
        size: 8192,
        read: (offset, count) => memory.slice(offset, offset + count),
        write: (offset, bytes) => memory.set(bytes, offset),
      },
      2: { memory, writable: false },
      3: { memory, readable: false },
      4: { size: 8, read: () => new Uint8Array(1) },
    },
  });
  await using client = await attach(device);
  for (const region of [0, 1, 2]) {
    const access = { region, offset: 100n, count: 5000 };
    const reply = decodeRegionData(await client.get("REGION_READ", encodeRegionAccess(access)));
    expect(Buffer.compare(reply.data, memory.subarray(100, 5100))).toBe(0);
  }
  for (const region of [0, 1]) {
    await client.get("REGION_WRITE", encodeRegionData(write({ region, offset: 4094n })));
    expect([...memory.subarray(4094, 4098)]).toEqual([...data]);
    memory.fill(0);
  }
  expect(dirty[0]).toBe(3n);
  expect(await client.ask("REGION_WRITE", encodeRegionData(write({ region: 2 })))).toBe("EINVAL");
  expect(
    await client.ask("REGION_READ", encodeRegionAccess({ region: 3, offset: 0n, count: 1 })),
  ).toBe("EINVAL");
  expect(
    await client.ask("REGION_READ", encodeRegionAccess({ region: 4, offset: 0n, count: 2 })),
  ).toBe("EINVAL");
  expect(
    await client.ask("REGION_WRITE", encodeRegionData(write({ region: 0, offset: 8190n }))),
  ).toBe("EINVAL");
});

test("many writes at once are done in their order, until one is refused", async () => {
  const memory = new Uint8Array(16);
  const device = busDevice({ regions: { 0: { memory } } });
  await using client = await attach(device);
  const all = async (writes: readonly RegionData[]) => {
    const reply = await client.ask("REGION_WRITE_MULTI", encodeRegionWrites(writes));
    return typeof reply === "string" ? reply : decodeRegionWritesReply(reply.payload);
  };
  expect(await all([write(), write({ offset: 2n, data: Uint8Array.of(9) })])).toBe(2n);
  expect([...memory.subarray(0, 4)]).toEqual([1, 2, 9, 4]);
  expect(await all([write({ offset: 8n }), write({ offset: 99n }), write({ offset: 12n })])).toBe(
    1n,
  );
  expect([...memory.subarray(8)]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
  expect(await all([write({ region: 5 })])).toBe("EINVAL");
});

test("interrupts go to who listens; what is no eventfd is refused and closed", async () => {
  const masks: unknown[] = [];
  const device = busDevice({ interrupts: { 0: 1, 2: 4 }, masked: (irq) => void masks.push(irq) });
  await using client = await attach(device);
  const [one, other] = [eventFd(), eventFd()];
  // What all signals use is open from the first one on.
  await client.get("DEVICE_SET_IRQS", set({}), [one.fd]);
  expect([device.bus.trigger(0, 0), one.count()]).toEqual([true, 1]);
  await client.get("DEVICE_SET_IRQS", set({ count: 0, data: "none" }));
  const before = openDescriptors();
  expect(device.bus.trigger(2, 1)).toBe(false);
  await client.get("DEVICE_SET_IRQS", set({ index: 2, start: 1, count: 2 }), [one.fd, other.fd]);
  expect([device.bus.trigger(2, 1), device.bus.trigger(2, 2), device.bus.trigger(2, 3)]).toEqual([
    true,
    true,
    false,
  ]);
  expect([one.count(), other.count()]).toEqual([1, 1]);
  // Without descriptors, some are let go.
  await client.get("DEVICE_SET_IRQS", set({ index: 2, start: 1, count: 1 }));
  expect([device.bus.trigger(2, 1), device.bus.trigger(2, 2)]).toEqual([false, true]);
  await client.get("DEVICE_SET_IRQS", set({ index: 2, count: 0, data: "none" }));
  expect(device.bus.trigger(2, 2)).toBe(false);
  for (const { fd } of [one, other]) await client.get("DEVICE_SET_IRQS", set({}), [fd]);
  await client.get("DEVICE_SET_IRQS", set({ count: 0, data: "none" }));
  const file = memoryFile(8);
  expect(await client.ask("DEVICE_SET_IRQS", set({ index: 2, count: 2 }), [one.fd, file])).toBe(
    "EINVAL",
  );
  closeSync(file);
  await expect.poll(() => openedSince(before)).toEqual([]);
  await client.get("DEVICE_SET_IRQS", set({ action: "mask", data: "none" }));
  expect(masks).toEqual([{ index: 0, start: 0, count: 1, isMasked: true }]);
  one.close();
  other.close();
});

test("C and the device see the same bytes, however few they are", async () => {
  const memory = new Uint8Array(16); // so few that Bun moves them when somebody looks at their buffer
  const dirty = new BigUint64Array(1);
  const device = busDevice({ regions: { 0: { memory, dirty } } });
  await using client = await attach(device);
  const view = new DataView(memory.buffer);
  const bits = new Uint8Array(dirty.buffer);
  await client.get("REGION_WRITE", encodeRegionData(write()));
  expect([view.getUint32(0, true), bits[0]]).toEqual([0x04030201, 1]);
  view.setUint8(0, 9);
  const access = { region: 0, offset: 0n, count: 4 };
  const reply = decodeRegionData(await client.get("REGION_READ", encodeRegionAccess(access)));
  expect([...reply.data]).toEqual([9, 2, 3, 4]);
});

test.each(["STOP", "STOP_COPY"] as const)(
  "in %s a device takes little, as libvfio-user's does",
  async (state) => {
    const device = busDevice({
      interrupts: { 0: 1 },
      migration: anyMigration,
      regions: { 0: { memory: new Uint8Array(16) } },
    });
    await using client = await attach(device);
    const feature = { feature: features.MIG_DEVICE_STATE, operations: featureFlags.SET } as const;
    await client.get("DEVICE_FEATURE", encodeFeature({ ...feature, data: encodeMigState(state) }));
    const map = encodeDmaMap({ flags: dmaRegionFlags.READ, addr: 0n, size: 4096n, offset: 0n });
    const refused = [
      ["DMA_MAP", map],
      ["DMA_UNMAP", encodeDmaUnmap({ flags: dmaUnmapFlags.ALL, addr: 0n, size: 0n })],
      ["DEVICE_GET_INFO", encodeDeviceInfo({ flags: 0, num_regions: 0, num_irqs: 0 })],
      ["DEVICE_SET_IRQS", set({ data: "none" })],
      ["DEVICE_RESET", new Uint8Array(0)],
    ] as const;
    for (const [name, payload] of refused)
      expect([name, await client.ask(name, payload)]).toEqual([name, "EINVAL"]);
    const reply = await client.ask("REGION_WRITE", encodeRegionData(write()));
    expect(typeof reply === "string" ? reply : "written").toBe(
      state === "STOP" ? "written" : "EINVAL",
    );
    await client.get(
      "DEVICE_FEATURE",
      encodeFeature({ ...feature, data: encodeMigState("RUNNING") }),
    );
    await client.get("DEVICE_RESET", new Uint8Array(0));
  },
);
