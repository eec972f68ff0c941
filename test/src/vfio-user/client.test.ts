import { closeSync, openSync, readSync, writeSync } from "node:fs";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { library } from "../../../ffi/library.ts";
import { ZcError } from "../../../src/errors.ts";
import { pollIn, ready } from "../../../src/run-job.ts";
import { features } from "../../../src/vfio/feature.ts";
import { joinBytes } from "../../../src/vfio/record.ts";
import { type Client, startClient } from "../../../src/vfio-user/client.ts";
import { Connection, closeAll } from "../../../src/vfio-user/connection.ts";
import { inspectDevice } from "../../../src/vfio-user/inspect.ts";
import { commands } from "../../../src/vfio-user/protocol/commands.ts";
import { encodeDeviceInfo } from "../../../src/vfio-user/protocol/device-info.ts";
import {
  decodeDmaAccess,
  decodeDmaData,
  decodeDmaMap,
  encodeDmaAccess,
  encodeDmaData,
} from "../../../src/vfio-user/protocol/dma.ts";
import {
  decodeFeature,
  encodeDmaLoggingReportReply,
  encodeFeature,
  encodeMigration,
  encodeMigState,
} from "../../../src/vfio-user/protocol/feature.ts";
import { encodeHeader, type Header } from "../../../src/vfio-user/protocol/header.ts";
import { decodeIrqSet, encodeIrqInfo } from "../../../src/vfio-user/protocol/irq.ts";
import {
  decodeRegionAccess,
  decodeRegionData,
  decodeRegionWrites,
  encodeRegionAccess,
  encodeRegionData,
  encodeRegionWritesReply,
} from "../../../src/vfio-user/protocol/region.ts";
import {
  decodeRegionInfoRequest,
  encodeRegionInfo,
  type RegionInfo,
} from "../../../src/vfio-user/protocol/region-info.ts";
import { encodeRegionIoFds } from "../../../src/vfio-user/protocol/region-io-fds.ts";
import { encodeVersion } from "../../../src/vfio-user/protocol/version.ts";
import { Refusal } from "../../../src/vfio-user/refusal.ts";
import { SharedMemory } from "../../../src/vfio-user/shared-memory.ts";
import { openDescriptors, openedSince } from "../../support/descriptors.ts";
import { type Answers, scripted, version } from "./client/scripted-server.ts";
import { defaults, noReply, socketPair } from "./pair.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

async function code(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    (value) => value,
    (reason: unknown) => reason,
  );
  return error instanceof ZcError ? error.code : `no ZcError: ${error}`;
}

/** A region of memory that is reached by messages, and says what it is. */
function regionAnswers(content: Uint8Array, info: Partial<RegionInfo> = {}): Answers {
  const whole = { flags: 3, index: 1, size: BigInt(content.length), offset: 0n, ...info };
  return {
    DEVICE_GET_REGION_INFO: ({ payload }) => ({
      payload: encodeRegionInfo(whole, decodeRegionInfoRequest(payload).argsz),
    }),
    REGION_READ: ({ payload }) => {
      const { region, offset, count } = decodeRegionAccess(payload);
      const data = content.subarray(Number(offset), Number(offset) + count);
      return { payload: encodeRegionData({ region, offset, data }) };
    },
    REGION_WRITE: ({ payload }) => {
      const { region, offset, data } = decodeRegionData(payload);
      content.set(data, Number(offset));
      return { payload: encodeRegionAccess({ region, offset, count: data.length }) };
    },
  };
}

test.each([
  ["another major version", encodeVersion({ major: 1, minor: 0 })],
  ["a newer minor version", encodeVersion({ major: 0, minor: 3 })],
  ["half a version", bytes(0, 0)],
  [
    "no room for data",
    encodeVersion({ major: 0, minor: 1, capabilities: { max_data_xfer_size: 0 } }),
  ],
  [
    "a twin socket that is not there",
    encodeVersion({
      ...{ major: 0, minor: 1 },
      capabilities: { twin_socket: { supported: true, fd_index: 0 } },
    }),
  ],
])("%s is a PROTOCOL error, and the connection ends", async (_, payload) => {
  const [near, far] = socketPair();
  const server = new Connection(far, { ...defaults, onRequest: () => ({ payload }) });
  expect(await code(startClient(near))).toBe("PROTOCOL");
  expect(await server.ended).toBeUndefined();
});

test("limits are the server's, or the specification's; data the smaller of both", async () => {
  const { client } = await scripted({
    VERSION: version({ max_msg_fds: 3, max_data_xfer_size: 1 << 22, write_multiple: true }),
  });
  expect(client.limits).toEqual({
    ...{ maxMsgFds: 3, maxDataXferSize: 1 << 20, maxDmaMaps: 65535, pageSizes: 4096 },
    writeMultiple: true,
  });
});

test("descriptors that nobody asked for are closed", async () => {
  const { client } = await scripted({
    DEVICE_GET_INFO: () => ({
      payload: encodeDeviceInfo({ flags: 3, num_regions: 9, num_irqs: 5 }),
      fds: [fd, fd, fd],
    }),
  });
  const fd = openSync("/dev/null", "r");
  const before = openDescriptors();
  expect(await client.info()).toEqual({ flags: 3, num_regions: 9, num_irqs: 5 });
  await expect.poll(() => openedSince(before)).toEqual([]);
  closeSync(fd);
});

test("a read is split where the server takes less, and has what all of it says", async () => {
  const content = crypto.getRandomValues(new Uint8Array(1000));
  const { client, asked } = await scripted({
    ...regionAnswers(content),
    VERSION: version({ max_data_xfer_size: 64 }),
  });
  expect(await client.regions.read(1, 3n, 200)).toEqual(content.slice(3, 203));
  expect(asked.filter((name) => name === "REGION_READ").length).toBe(4);
  await client.regions.write(1, 500n, new Uint8Array(100).fill(7));
  expect(content.subarray(499, 601).filter((byte) => byte === 7).length).toBeGreaterThanOrEqual(
    100,
  );
});

test.each([
  ["fewer bytes", { data: bytes(1, 2) }],
  ["more bytes", { data: new Uint8Array(99) }],
])("a read's reply of %s is a PROTOCOL error", async (_, { data }) => {
  const { client } = await scripted({
    REGION_READ: () => ({ payload: encodeRegionData({ region: 1, offset: 0n, data }) }),
  });
  expect(await code(client.regions.read(1, 0n, 4, { map: false }))).toBe("PROTOCOL");
});

test("a write of which fewer bytes were taken is a PROTOCOL error; posted, nobody tells", async () => {
  const written = Promise.withResolvers<void>();
  const { client } = await scripted({
    REGION_WRITE: () => {
      written.resolve();
      return { payload: encodeRegionAccess({ region: 1, offset: 0n, count: 3 }) };
    },
  });
  const options = { map: false };
  expect(await code(client.regions.write(1, 0n, bytes(1, 2, 3, 4), options))).toBe("PROTOCOL");
  await client.regions.write(1, 0n, bytes(1), { ...options, posted: true });
  await written.promise;
});

test("what can be mapped goes without messages, and the rest by them", async () => {
  using memory = new SharedMemory(3 * 4096);
  memory.bytes.forEach((_, index) => {
    memory.bytes[index] = index % 251;
  });
  const areas = [{ offset: 4096n, size: 4096n }];
  const info = { ...{ flags: 7, index: 1, size: 12288n, offset: 0n }, areas };
  const answers = regionAnswers(memory.bytes);
  const { client, asked } = await scripted({
    ...answers,
    DEVICE_GET_REGION_INFO: ({ payload }) => ({
      payload: encodeRegionInfo(info, decodeRegionInfoRequest(payload).argsz),
      fds: [memory.fd],
    }),
  });
  expect(await client.regions.read(1, 0n, 12288)).toEqual(memory.bytes.slice());
  expect(asked.slice(1)).toEqual([
    ...["DEVICE_GET_REGION_INFO", "DEVICE_GET_REGION_INFO", "REGION_READ", "REGION_READ"],
  ]);
  await client.regions.write(1, 5000n, bytes(1, 2, 3));
  expect(asked.length).toBe(5);
  expect([...memory.bytes.subarray(5000, 5003)]).toEqual([1, 2, 3]);
});

test("a mapping that is shorter than it said is a DEVICE error, not the end of us", async () => {
  const fd = openSync("/dev/shm", 0o20200002); // O_TMPFILE | O_RDWR
  onTestFinished(() => closeSync(fd));
  const info = { flags: 7, index: 1, size: 8192n, offset: 0n };
  const { client } = await scripted({
    DEVICE_GET_REGION_INFO: () => ({ payload: encodeRegionInfo(info, 32), fds: [fd] }),
  });
  expect(await code(client.regions.read(1, 4000n, 200))).toBe("DEVICE");
  expect(await code(client.regions.write(1, 0n, bytes(1)))).toBe("DEVICE");
});

test.each([
  ["of another region", { index: 2 }],
  ["whose areas lie outside", { areas: [{ offset: 4096n, size: 1n }] }],
  ["that never has room enough", { argsz: 0xffff_ffff }],
])("a region's info %s is a PROTOCOL error", async (_, lie) => {
  const whole = { flags: 3, index: 1, size: 4096n, offset: 0n, ...lie };
  const { client } = await scripted({
    DEVICE_GET_REGION_INFO: ({ payload }) => {
      const reply = encodeRegionInfo(whole, decodeRegionInfoRequest(payload).argsz);
      if ("argsz" in lie) new DataView(reply.buffer).setUint32(0, lie.argsz ?? 0, true);
      return { payload: reply };
    },
  });
  expect(await code(client.regions.info(1))).toBe("PROTOCOL");
});

test("many writes go in few messages where they are taken, else one by one", async () => {
  const writes = Array.from({ length: 5 }, (_, index) => ({
    ...{ region: 1, offset: BigInt(index * 4) },
    data: bytes(index, index, index, index),
  }));
  const done: number[] = [];
  const many = await scripted({
    VERSION: version({ write_multiple: true, max_data_xfer_size: 60 }),
    REGION_WRITE_MULTI: ({ payload }) => {
      const some = decodeRegionWrites(payload);
      done.push(some.length);
      return { payload: encodeRegionWritesReply(BigInt(some.length)) };
    },
  });
  await many.client.regions.writeMultiple(writes);
  expect(done).toEqual([2, 2, 1]);
  const content = new Uint8Array(20);
  const { client } = await scripted(regionAnswers(content));
  await client.regions.writeMultiple(writes);
  expect([...content.subarray(12)]).toEqual([3, 3, 3, 3, 4, 4, 4, 4]);
  const lying = await scripted({
    VERSION: version({ write_multiple: true }),
    REGION_WRITE_MULTI: () => ({ payload: encodeRegionWritesReply(4n) }),
  });
  expect(await code(lying.client.regions.writeMultiple(writes))).toBe("PROTOCOL");
});

test("descriptors of a region: there, or a PROTOCOL error, and none is left open", async () => {
  const place = { offset: 0n, size: 4n, flags: 0, datamatch: 0n };
  const reply = (fd_index: number, fds: number[]) => () => ({
    payload: encodeRegionIoFds(
      { index: 0, subRegions: [{ ...place, type: "ioeventfd", fd_index }] },
      1000,
    ),
    fds,
  });
  const fd = openSync("/dev/null", "r");
  onTestFinished(() => closeSync(fd));
  const honest = await scripted({ DEVICE_GET_REGION_IO_FDS: reply(1, [fd, fd]) });
  const lying = await scripted({ DEVICE_GET_REGION_IO_FDS: reply(2, [fd, fd]) });
  const before = openDescriptors();
  const { subRegions, fds } = await honest.client.regions.ioFds(0);
  expect([subRegions[0]?.fd_index, fds.length]).toEqual([1, 2]);
  for (const each of fds) closeSync(each);
  expect(await code(lying.client.regions.ioFds(0))).toBe("PROTOCOL");
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test("interrupts: as many eventfds in a message as the device takes, and then they can be awaited", async () => {
  const sets: unknown[] = [];
  const kept: number[] = [];
  const { client } = await scripted({
    VERSION: version({ max_msg_fds: 2 }),
    DEVICE_GET_IRQ_INFO: () => ({ payload: encodeIrqInfo({ flags: 1, index: 4, count: 9 }) }),
    DEVICE_SET_IRQS: ({ payload, fds }) => {
      const { start, count } = decodeIrqSet(payload);
      sets.push([start, count, fds.length]);
      kept.push(...fds.splice(0));
      return noReply;
    },
  });
  const interrupts = await client.interrupts.listen(2, 1, 5);
  onTestFinished(() => {
    for (const each of interrupts) each[Symbol.dispose]();
    for (const fd of kept) closeSync(fd);
  });
  expect(sets).toEqual([
    [1, 2, 2],
    [3, 2, 2],
    [5, 1, 1],
  ]);
  expect(await interrupts[3]?.wait({ timeoutMs: 10 })).toBeUndefined();
  library().zc_event_signal(kept[3] ?? -1);
  library().zc_event_signal(kept[3] ?? -1);
  expect(await interrupts[3]?.wait()).toBe(2n);
  expect(await code(client.interrupts.info(2))).toBe("PROTOCOL");
});

test("the device reads and writes what is mapped for it, within its rights and bounds", async () => {
  const content = Uint8Array.from({ length: 100 }, (_, index) => index);
  const { client, server } = await scripted({ DMA_MAP: () => noReply });
  const target = {
    read: (offset: bigint, size: number) => content.subarray(Number(offset), Number(offset) + size),
    write: (offset: bigint, data: Uint8Array) => content.set(data, Number(offset)),
  };
  const rights = { readable: true, writable: true };
  await client.memory.map({ address: 1000n, size: 100n, ...rights, target });
  await client.memory.map({ address: 2000n, size: 10n, readable: true, writable: false, target });
  await client.memory.map({ address: 3000n, size: 10n, ...rights });
  const read = async (addr: bigint, count: bigint) =>
    decodeDmaData((await server.request("DMA_READ", encodeDmaAccess({ addr, count }))).payload);
  const write = async (addr: bigint, data: Uint8Array) =>
    decodeDmaAccess((await server.request("DMA_WRITE", encodeDmaData({ addr, data }))).payload);
  expect([...(await read(1098n, 2n)).data]).toEqual([98, 99]);
  expect(await write(1010n, bytes(7, 8))).toEqual({ addr: 1010n, count: 2n });
  expect([...content.subarray(9, 13)]).toEqual([9, 7, 8, 12]);
  const errno = (promise: Promise<unknown>) =>
    promise.catch((error: unknown) => error instanceof ZcError && error.errnoName);
  expect(await errno(read(1099n, 2n))).toBe("EFAULT");
  expect(await errno(read(999n, 1n))).toBe("EFAULT");
  expect(await errno(read(0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn))).toBe("EINVAL");
  expect(await errno(write(2000n, bytes(1)))).toBe("EACCES");
  expect(await errno(read(3000n, 1n))).toBe("EFAULT");
  expect(await errno(server.request("DEVICE_RESET", bytes()))).toBe("ENOSYS");
});

test("a map that the device refuses is not answered for", async () => {
  const { client } = await scripted({
    VERSION: version({ max_dma_maps: 1 }),
    DMA_MAP: ({ payload }) => {
      if (decodeDmaMap(payload).addr === 0n) throw new Refusal(17, "there is one");
      return noReply;
    },
  });
  const mapping = { size: 4096n, readable: true, writable: true };
  expect(await code(client.memory.map({ ...mapping, address: 0n }))).toBe("DEVICE");
  expect(client.memory.mappings).toEqual([]);
  await client.memory.map({ ...mapping, address: 4096n });
  expect(await code(client.memory.map({ ...mapping, address: 8192n }))).toBe("USAGE");
});

test("over a twin socket the device asks, and is answered, apart from ours", async () => {
  const [near, far] = socketPair();
  const { client } = await scripted({
    VERSION: () => {
      const capabilities = { twin_socket: { supported: true, fd_index: 0 } };
      return { payload: encodeVersion({ major: 0, minor: 1, capabilities }), fds: [far.fd] };
    },
    DMA_MAP: () => noReply,
  });
  far.close();
  expect(client.hasTwinSocket).toBe(true);
  using memory = new SharedMemory(4096);
  memory.bytes.set(bytes(5, 6), 10);
  const rights = { readable: true, writable: true };
  await client.memory.map({ address: 0n, size: 4096n, ...rights, target: memory });
  const asking = new Connection(near, defaults);
  const reply = await asking.request("DMA_READ", encodeDmaAccess({ addr: 10n, count: 2n }));
  expect([...decodeDmaData(reply.payload).data]).toEqual([5, 6]);
  await client[Symbol.asyncDispose]();
  expect(await asking.ended).toBeUndefined();
});

test("features: what a device has, its state, and what is none", async () => {
  const { client } = await scripted({
    DEVICE_FEATURE: ({ payload }) => {
      const { feature, operations } = decodeFeature(payload);
      const data = {
        [features.MIGRATION]: encodeMigration(5n),
        [features.MIG_DEVICE_STATE]: encodeMigState("STOP"),
      }[feature];
      if (data === undefined) throw new Refusal(22, "no such feature");
      return { payload: encodeFeature({ feature, operations, data }) };
    },
  });
  expect(await client.migration.flags()).toBe(5n);
  expect(await client.migration.state()).toBe("STOP");
  expect(await client.migration.has(features.MIGRATION, 1 << 16)).toBe(true);
  expect(await client.migration.has(features.DMA_LOGGING_START, 1 << 17)).toBe(false);
  const none = await scripted({});
  expect(await none.client.migration.flags()).toBe(0n);
});

test.each([
  ["of another feature", { feature: 1, data: bytes(2, 0, 0, 0, 0, 0, 0, 0) }],
  ["of no state", { feature: 2, data: bytes(8, 0, 0, 0, 0, 0, 0, 0) }],
  ["that is cut", { feature: 2, data: bytes(2, 0) }],
])("a state's reply %s is a PROTOCOL error", async (_, { feature, data }) => {
  const payload = encodeFeature({ feature, operations: 1 << 16, data });
  const { client } = await scripted({ DEVICE_FEATURE: () => ({ payload }) });
  expect(await code(client.migration.state())).toBe("PROTOCOL");
});

test("a DMA log is what was asked for, or a PROTOCOL error", async () => {
  const report = { iova: 0x1000n, length: 0x4000n, page_size: 4096n };
  let said = report;
  const { client } = await scripted({
    DEVICE_FEATURE: () => ({
      payload: encodeFeature({
        ...{ feature: features.DMA_LOGGING_REPORT, operations: 1 << 16 },
        data: encodeDmaLoggingReportReply(said, bytes(5, 0, 0, 0, 0, 0, 0, 0)),
      }),
    }),
  });
  const range = { address: 0x1000n, size: 0x4000n };
  const log = await client.migration.takeDmaLog(range, 4096);
  expect([...log.bitmap]).toEqual([5, 0, 0, 0, 0, 0, 0, 0]);
  said = { ...report, iova: 0n };
  expect(await code(client.migration.takeDmaLog(range, 4096))).toBe("PROTOCOL");
  expect(await code(client.migration.takeDmaLog({ address: 0n, size: 1n << 60n }, 4096))).toBe(
    "USAGE",
  );
});

test("migration data: through C, to its end, padded or not", async () => {
  const content = crypto.getRandomValues(new Uint8Array(10_000));
  const given: Uint8Array[] = [];
  let at = 0;
  const { client } = await scripted({
    VERSION: version({ max_data_xfer_size: 4096 }),
    MIG_DATA_READ: ({ payload }) => {
      const asked = new DataView(payload.buffer, payload.byteOffset).getUint32(4, true);
      const part = content.subarray(at, at + asked);
      at += part.length;
      const head = Uint32Array.of(8 + asked, part.length);
      const padding = new Uint8Array(asked - part.length);
      return { payload: joinBytes(new Uint8Array(head.buffer), part, padding) };
    },
    MIG_DATA_WRITE: ({ payload }) => {
      given.push(payload.slice(8));
      return noReply;
    },
  });
  using memory = new SharedMemory(10_000);
  const end = { fd: memory.fd, name: "memory", isSocket: false };
  expect(await client.migration.read(end)).toEqual({ bytes: 10_000, end: "end" });
  expect(memory.bytes.slice()).toEqual(content);
  const fd = openSync(`/proc/self/fd/${memory.fd}`, "r");
  onTestFinished(() => closeSync(fd));
  const result = await client.migration.write({ ...end, fd });
  expect(result).toEqual({ bytes: 10_000, end: "end" });
  expect(joinBytes(...given)).toEqual(content);
});

test.each([
  ["more than was asked for", bytes(0, 0, 0, 0, 255, 255, 255, 255)],
  ["less than a head", bytes(1)],
])("migration data of %s are a PROTOCOL error", async (_, payload) => {
  const { client } = await scripted({ MIG_DATA_READ: () => ({ payload }) });
  const fd = openSync("/dev/null", "w");
  onTestFinished(() => closeSync(fd));
  const sink = { fd, name: "/dev/null", isSocket: false };
  expect(await code(client.migration.read(sink))).toBe("PROTOCOL");
});

test("a device that refuses, is silent, or goes: DEVICE, TIMEOUT, PEER_RESET", async () => {
  const { client, server } = await scripted({ MIG_DATA_READ: () => new Promise(() => {}) });
  const fd = openSync("/dev/null", "w");
  onTestFinished(() => closeSync(fd));
  const sink = { fd, name: "/dev/null", isSocket: false };
  expect(await code(client.reset())).toBe("DEVICE");
  expect(await code(client.migration.read(sink, { idleMs: 50 }))).toBe("TIMEOUT");
  const reading = code(client.migration.read(sink));
  server[Symbol.dispose]();
  expect(await reading).toBe("PEER_RESET");
  expect(await code(client.migration.read(sink))).toBe("PEER_RESET");
  expect(await code(client.info())).toBe("PEER_RESET");
});

test("a signal ends the connection, though the server takes nothing of what was sent", async () => {
  const [near, far] = socketPair();
  onTestFinished(() => far.close());
  const abort = new AbortController();
  const starting = startClient(near, { signal: abort.signal });
  await ready(far.fd, pollIn);
  readSync(far.fd, new Uint8Array(1024));
  const payload = encodeVersion({ major: 0, minor: 0 });
  const header = { id: 1, command: commands.VERSION, size: 16 + payload.length, type: "reply" };
  const reply = { ...header, noReply: false, isError: false, errno: 0 } as Header;
  writeSync(far.fd, joinBytes(encodeHeader(reply), payload));
  const client = await starting;
  const options = { map: false, posted: true };
  await client.regions.write(1, 0n, new Uint8Array(4 << 20), options);
  abort.abort(new Error("enough"));
  await client[Symbol.asyncDispose]();
  expect(await client.connection.ended).toBeUndefined();
});

test("more regions than any device has are a PROTOCOL error, before they are asked for", async () => {
  const { client, asked } = await scripted({
    DEVICE_GET_INFO: () => ({
      payload: encodeDeviceInfo({ flags: 2, num_regions: 0xffff_ffff, num_irqs: 1 }),
    }),
  });
  expect(await code(inspectDevice(client))).toBe("PROTOCOL");
  expect(asked).toEqual(["VERSION", "DEVICE_GET_INFO"]);
});

test("whatever a server replies: an answer, or an error of ours, and never no end", async () => {
  const calls: readonly ((client: Client) => Promise<unknown>)[] = [
    (client) => client.info(),
    (client) => client.reset(),
    (client) => client.regions.info(1),
    (client) => client.regions.read(1, 0n, 100),
    (client) => client.regions.write(1, 0n, bytes(1, 2, 3)),
    (client) => client.regions.writeMultiple([{ region: 1, offset: 0n, data: bytes(1) }]),
    (client) => client.regions.ioFds(1).then(({ fds }) => closeAll(fds)),
    (client) => client.interrupts.info(0),
    (client) => client.interrupts.release(0),
    (client) => client.memory.unmapAll(),
    (client) => client.memory.unmap({ address: 0n, size: 4096n }),
    (client) => client.migration.flags(),
    (client) => client.migration.state(),
    (client) => client.migration.setState("STOP"),
    (client) => client.migration.takeDmaLog({ address: 0n, size: 4096n }, 4096),
    (client) => client.migration.read({ fd: sink, name: "sink", isSocket: false }, { limit: 64 }),
    (client) => inspectDevice(client),
  ];
  const sink = openSync("/dev/null", "w");
  onTestFinished(() => closeSync(sink));
  let payload: Uint8Array = new Uint8Array();
  const { client } = await scripted(
    Object.fromEntries(
      Object.keys(commands).map((name) => [
        name,
        name === "VERSION" ? version({ write_multiple: true }) : () => ({ payload, fds: [sink] }),
      ]),
    ),
  );
  // Small numbers are more often right, and lead further.
  const word = fc.oneof(fc.nat({ max: 64 }), fc.integer({ min: 0, max: 0xffff_ffff }));
  const payloads = fc.array(word, { maxLength: 30 }).map((words) => Uint32Array.from(words));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...calls), payloads, async (call, words) => {
      payload = new Uint8Array(words.buffer);
      const error = await call(client).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error !== undefined) expect(error).toBeInstanceOf(ZcError);
    }),
    { numRuns: 2000 },
  );
});
