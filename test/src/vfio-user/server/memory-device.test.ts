/** The memory device over a real socket: what is written is read, and it moves while it is written. */
import { expect, test } from "vitest";
import { featureFlags, features } from "../../../../src/vfio/feature.ts";
import type { DeviceState } from "../../../../src/vfio/states.ts";
import { MemoryDevice } from "../../../../src/vfio-user/devices/memory.ts";
import { encodeFeature, encodeMigState } from "../../../../src/vfio-user/protocol/feature.ts";
import {
  decodeMigData,
  encodeMigData,
  encodeMigDataRead,
} from "../../../../src/vfio-user/protocol/migration-data.ts";
import {
  decodeRegionData,
  encodeRegionAccess,
  encodeRegionData,
} from "../../../../src/vfio-user/protocol/region.ts";
import { attach, type TestClient } from "./client.ts";

const MiB = 1 << 20;

function setState(client: TestClient, state: DeviceState): Promise<unknown> {
  const data = encodeMigState(state);
  const request = { feature: features.MIG_DEVICE_STATE, operations: featureFlags.SET, data };
  return client.ask("DEVICE_FEATURE", encodeFeature(request));
}

async function readRegion(client: TestClient, offset: number, count: number): Promise<Uint8Array> {
  const access = encodeRegionAccess({ offset: BigInt(offset), region: 0, count });
  return decodeRegionData(await client.get("REGION_READ", access)).data;
}

/** All bytes of a device, once it no longer changes. */
async function contents(client: TestClient, size: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < size; at += MiB)
    parts.push(await readRegion(client, at, Math.min(MiB, size - at)));
  return Buffer.concat(parts);
}

/** Until it has no more: for now, or at all. Bytes. */
async function copy(from: TestClient, to: TestClient, size: number): Promise<number> {
  for (let total = 0; ; ) {
    const data = decodeMigData(await from.get("MIG_DATA_READ", encodeMigDataRead(size)));
    total += data.length;
    if (data.length > 0) await to.get("MIG_DATA_WRITE", encodeMigData(data));
    if (data.length < size) return total;
  }
}

test.each([
  ["nothing", 0, 4 * MiB, MiB],
  ["a little", 4 * MiB, 4 * MiB, MiB],
  ["much", 400 * MiB, 8 * MiB, MiB],
  ["one page of memory", MiB, 4096, 4096],
  ["odd pieces", 40 * MiB, MiB, 33333],
] as const)("moves while it writes %s", async (_, dirtyRate, size, piece) => {
  using one = new MemoryDevice({ size, dirtyRate });
  using other = new MemoryDevice({ size });
  await using source = await attach(one);
  await using target = await attach(other);
  const data = crypto.getRandomValues(new Uint8Array(4096));
  await source.get("REGION_WRITE", encodeRegionData({ offset: 0n, region: 0, data }));
  await setState(source, "PRE_COPY");
  await setState(target, "RESUMING");
  expect(await copy(source, target, piece)).toBeGreaterThan(size);
  await source.get(
    "REGION_WRITE",
    encodeRegionData({ offset: BigInt(size - 8), region: 0, data: data.subarray(0, 8) }),
  );
  expect(await copy(source, target, piece)).toBeGreaterThanOrEqual(4096);
  await setState(source, "STOP_COPY");
  const access = encodeRegionAccess({ offset: 0n, region: 0, count: 1 });
  expect(await source.ask("REGION_READ", access)).toBe("EINVAL");
  await copy(source, target, piece);
  await setState(source, "STOP");
  await setState(target, "STOP");
  expect(Buffer.compare(await contents(source, size), await contents(target, size))).toBe(0);
});

test("a reply is as long as was asked for, and says what of it is data", async () => {
  using device = new MemoryDevice({ size: 4096 });
  await using client = await attach(device);
  await setState(client, "STOP_COPY");
  const reply = await client.get("MIG_DATA_READ", encodeMigDataRead(10_000));
  const { length } = decodeMigData(reply);
  expect(length).toBeGreaterThan(4096);
  expect(reply.length).toBe(8 + 10_000);
  expect(reply.subarray(8 + length).every((byte) => byte === 0)).toBe(true);
});

test("data that end too early leave the device in RESUMING, and a reset is the way out", async () => {
  using one = new MemoryDevice({ size: MiB });
  using other = new MemoryDevice({ size: MiB });
  await using source = await attach(one);
  await using target = await attach(other);
  await setState(source, "STOP_COPY");
  await setState(target, "RESUMING");
  const data = decodeMigData(await source.get("MIG_DATA_READ", encodeMigDataRead(5000)));
  await target.get("MIG_DATA_WRITE", encodeMigData(data));
  expect(await setState(target, "RUNNING")).toBe("EINVAL");
  expect(await target.ask("MIG_DATA_WRITE", encodeMigData(data))).not.toBeTypeOf("string");
  await target.get("DEVICE_RESET", new Uint8Array(0));
  expect(await target.ask("MIG_DATA_WRITE", encodeMigData(data))).toBe("EINVAL");
  expect(await setState(target, "STOP_COPY")).not.toBeTypeOf("string");
});

test("contents outlive a client that goes in the midst of a migration", async () => {
  using device = new MemoryDevice({ size: MiB });
  const first = await attach(device);
  const data = Uint8Array.of(1, 2, 3);
  await first.get("REGION_WRITE", encodeRegionData({ offset: 77n, region: 0, data }));
  await setState(first, "STOP_COPY");
  await first.close();
  await using second = await attach(device);
  expect([...(await readRegion(second, 77, 3))]).toEqual([1, 2, 3]);
});
