/** A device in its client's memory: through its file, mapped or not, and by messages over either socket. */
import { closeSync, ftruncateSync, openSync, readSync } from "node:fs";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { takeConnection } from "../../../../src/endpoint/connection.ts";
import { featureFlags, features } from "../../../../src/vfio/feature.ts";
import type { Reply, Request } from "../../../../src/vfio-user/connection.ts";
import { Connection } from "../../../../src/vfio-user/connection.ts";
import { commands } from "../../../../src/vfio-user/protocol/commands.ts";
import {
  decodeDmaAccess,
  decodeDmaData,
  decodeDmaUnmapReply,
  dmaRegionFlags,
  dmaUnmapFlags,
  encodeDmaAccess,
  encodeDmaData,
  encodeDmaMap,
  encodeDmaUnmap,
} from "../../../../src/vfio-user/protocol/dma.ts";
import {
  decodeDmaLoggingReportReply,
  decodeFeature,
  dmaLoggingBitmapSize,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
  encodeFeature,
} from "../../../../src/vfio-user/protocol/feature.ts";
import { encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import { Session } from "../../../../src/vfio-user/server/session.ts";
import { openDescriptors, openedSince } from "../../../support/descriptors.ts";
import { scratch } from "../../../support/scratch.ts";
import { defaults, socketPair } from "../pair.ts";
import { anyMigration, type BusDevice, busDevice } from "./bus-device.ts";
import { attach, memoryFile, type TestClient } from "./client.ts";

const { READ, WRITE, MMAP, FILE_IO } = dmaRegionFlags;
const page = 4096;
const base = 0x10_0000n;
const opened: number[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
});

function file(size: number): number {
  const fd = memoryFile(size);
  opened.push(fd);
  return fd;
}

function bytesOf(fd: number, at: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  readSync(fd, bytes, 0, count, at);
  return bytes;
}

function map(
  client: TestClient,
  flags: number,
  { addr = base, size = 4 * page, offset = 0, fd = -1 },
) {
  const payload = encodeDmaMap({ flags, addr, size: BigInt(size), offset: BigInt(offset) });
  return client.ask("DMA_MAP", payload, fd < 0 ? [] : [fd]);
}

/** What the errno of a refused access is. */
async function refusal(access: Promise<unknown>): Promise<number> {
  const error = await access.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refusal)) throw new Error(`not refused, but ${error}`);
  return error.errno;
}

const ENOENT = 2;
const EIO = 5;
const EACCES = 13;
const EFAULT = 14;
const EINVAL = 22;

test.each([
  ["mapped", MMAP],
  ["read and written as a file", FILE_IO],
  ["mapped, for nothing is said", 0],
])(
  "%s: what the device writes is in the client's file, and the other way round",
  async (_, how) => {
    const device = busDevice();
    await using client = await attach(device);
    const fd = file(8 * page);
    // Neither the offset nor what is accessed is at the begin of a page.
    await map(client, READ | WRITE | how, { fd, offset: 512, size: 4 * page });
    expect([...(await device.bus.read(base + 100n, 1000))]).toEqual([...bytesOf(fd, 612, 1000)]);
    const data = crypto.getRandomValues(new Uint8Array(2 * page));
    await device.bus.write(base + 1000n, data);
    expect(Buffer.compare(bytesOf(fd, 1512, data.length), data)).toBe(0);
  },
);

test("neighbours are one piece of memory; what is between others is none", async () => {
  const device = busDevice();
  await using client = await attach(device);
  const [one, two] = [file(page), file(page)];
  await map(client, READ | WRITE, { fd: one, size: page });
  await map(client, READ | WRITE | FILE_IO, { fd: two, addr: base + BigInt(page), size: page });
  const data = crypto.getRandomValues(new Uint8Array(200));
  await device.bus.write(base + BigInt(page - 100), data);
  expect(Buffer.concat([bytesOf(one, page - 100, 100), bytesOf(two, 0, 100)])).toEqual(
    Buffer.from(data),
  );
  expect([...(await device.bus.read(base + BigInt(page - 100), 200))]).toEqual([...data]);
  expect(await refusal(device.bus.read(base + BigInt(2 * page - 1), 2))).toBe(ENOENT);
  expect(await refusal(device.bus.write(base - 1n, data))).toBe(ENOENT);
});

test("what may only be read is not written, and the other way round", async () => {
  const device = busDevice();
  await using client = await attach(device);
  await map(client, READ, { fd: file(page), size: page });
  await map(client, WRITE, { fd: file(page), addr: base + BigInt(page), size: page });
  expect(await refusal(device.bus.write(base, new Uint8Array(1)))).toBe(EACCES);
  expect(await refusal(device.bus.read(base + BigInt(page), 1))).toBe(EACCES);
});

test.each([
  ["mapped", MMAP, EFAULT],
  ["as a file", FILE_IO, EIO],
])("a client that makes its file shorter harms itself alone: %s", async (_, how, errno) => {
  using folder = scratch();
  const device = busDevice();
  await using client = await attach(device);
  const fd = openSync(folder.file("memory"), "w+");
  opened.push(fd);
  ftruncateSync(fd, 4 * page);
  await map(client, READ | WRITE | how, { fd });
  await device.bus.write(base, Uint8Array.of(1));
  ftruncateSync(fd, page);
  expect(await refusal(device.bus.read(base + BigInt(2 * page), 10))).toBe(errno);
  expect([...(await device.bus.read(base, 1))]).toEqual([1]);
});

/** Answers DMA_READ and DMA_WRITE from these bytes, which are at `base`. */
function memoryOf(bytes: Uint8Array, sizes: number[] = []) {
  return ({ command, payload }: Request): Reply => {
    if (command === commands.DMA_READ) {
      const { addr, count } = decodeDmaAccess(payload);
      sizes.push(Number(count));
      const at = Number(addr - base);
      return { payload: encodeDmaData({ addr, data: bytes.subarray(at, at + Number(count)) }) };
    }
    const { addr, data } = decodeDmaData(payload);
    sizes.push(data.length);
    bytes.set(data, Number(addr - base));
    return { payload: encodeDmaAccess({ addr, count: BigInt(data.length) }) };
  };
}

test("without a file the client is asked, in pieces that it takes", async () => {
  const memory = crypto.getRandomValues(new Uint8Array(4 * page));
  const sizes: number[] = [];
  const device = busDevice();
  const capabilities = { max_data_xfer_size: page };
  await using client = await attach(device, { capabilities, onRequest: memoryOf(memory, sizes) });
  await map(client, READ | WRITE, {});
  const read = await device.bus.read(base + 10n, 3 * page);
  expect(Buffer.compare(read, memory.subarray(10, 10 + 3 * page))).toBe(0);
  const data = crypto.getRandomValues(new Uint8Array(page + 1));
  await device.bus.write(base + 5n, data);
  expect(Buffer.compare(memory.subarray(5, 6 + page), data)).toBe(0);
  expect(sizes).toEqual([page, page, page, page, 1]);
});

test("descriptors that come with what was asked for do not stay", async () => {
  const device = busDevice();
  const memory = memoryOf(new Uint8Array(page));
  const mine = file(page);
  const onRequest = async (request: Request) => ({ ...(await memory(request)), fds: [mine, mine] });
  await using client = await attach(device, { onRequest });
  await map(client, READ | WRITE, {});
  const before = openDescriptors();
  await device.bus.read(base, 1);
  await device.bus.write(base, new Uint8Array(1));
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test("a twin socket takes them, where the client wants one", async () => {
  const memory = crypto.getRandomValues(new Uint8Array(4 * page));
  const device = busDevice();
  const before = openDescriptors();
  const [near, far] = socketPair();
  const session = new Session(far, device);
  const client = new Connection(near, defaults);
  const capabilities = { max_msg_fds: 1, twin_socket: { supported: true } };
  const reply = await client.request(
    "VERSION",
    encodeVersion({ major: 0, minor: 0, capabilities }),
  );
  const [fd = -1] = reply.fds ?? [];
  const twin = new Connection(takeConnection(fd, {}), { ...defaults, onRequest: memoryOf(memory) });
  const dma = encodeDmaMap({ flags: READ, addr: base, size: BigInt(4 * page), offset: 0n });
  await client.request("DMA_MAP", dma);
  expect(Buffer.compare(await device.bus.read(base, 4 * page), memory)).toBe(0);
  client.close();
  await Promise.all([client.ended, session.ended, twin.ended]);
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test.each([
  [
    "an errno",
    () => {
      throw new Refusal(EACCES, "no");
    },
    EACCES,
  ],
  [
    "another address",
    () => ({ payload: encodeDmaData({ addr: 1n, data: new Uint8Array(8) }) }),
    EINVAL,
  ],
  [
    "less data",
    () => ({ payload: encodeDmaData({ addr: base, data: new Uint8Array(7) }) }),
    EINVAL,
  ],
  ["no reply at all", () => ({ payload: new Uint8Array(3) }), EINVAL],
] as const)("a client that answers with %s", async (_, onRequest, errno) => {
  const device = busDevice();
  await using client = await attach(device, { onRequest: onRequest as () => Reply });
  await map(client, READ, {});
  expect(await refusal(device.bus.read(base, 8))).toBe(errno);
});

function feature(
  client: TestClient,
  operations: number,
  number: number,
  data: Uint8Array,
  room = 0,
) {
  return client.ask("DEVICE_FEATURE", encodeFeature({ feature: number, operations, data }, room));
}

async function report(client: TestClient, size: number, pageSize: number): Promise<number[]> {
  const asked = { iova: base, length: BigInt(size), page_size: BigInt(pageSize) };
  const room = 24 + Number(dmaLoggingBitmapSize(asked));
  const { GET } = featureFlags;
  const reply = await feature(
    client,
    GET,
    features.DMA_LOGGING_REPORT,
    encodeDmaLoggingReport(asked),
    room,
  );
  if (typeof reply === "string") throw new Error(reply);
  const { bitmap } = decodeDmaLoggingReportReply(decodeFeature(reply.payload).data);
  const pages = Array.from({ length: Math.ceil(size / pageSize) }, (_, at) => at);
  return pages.filter((at) => ((bitmap[at >> 3] ?? 0) >> (at & 7)) & 1);
}

test("what the device writes is reported, once, in pages of any size", async () => {
  const device = busDevice({ migration: anyMigration });
  await using client = await attach(device);
  const size = 100 * page;
  await map(client, READ | WRITE, { fd: file(size), size });
  const start = encodeDmaLoggingStart({ page_size: BigInt(page), ranges: [] });
  await feature(client, featureFlags.SET, features.DMA_LOGGING_START, start);
  const writes = fc.array(
    fc.record({ at: fc.nat(size - 1), count: fc.integer({ min: 1, max: 3 * page }) }),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(
      writes,
      fc.constantFrom(1024, page, 4 * page, 64 * page),
      async (all, pageSize) => {
        const expected = new Set<number>();
        for (const { at, count: wanted } of all) {
          const count = Math.min(wanted, size - at);
          await device.bus.write(base + BigInt(at), new Uint8Array(count));
          // What is noted are pages of 4096, each a part or several of those that are asked for.
          const first = Math.floor(at / page) * page;
          const end = Math.ceil((at + count) / page) * page;
          for (
            let each = Math.floor(first / pageSize);
            each * pageSize < Math.min(end, size);
            each++
          )
            expected.add(each);
        }
        expect(await report(client, size, pageSize)).toEqual([...expected].sort((a, b) => a - b));
        expect(await report(client, size, pageSize)).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

test("what a device writes by messages goes to the client, and is not reported", async () => {
  const memory = crypto.getRandomValues(new Uint8Array(4 * page));
  const sizes: number[] = [];
  const device = busDevice({ migration: anyMigration });
  await using client = await attach(device, { onRequest: memoryOf(memory, sizes) });
  const fd = file(4 * page);
  await map(client, READ | WRITE, { fd });
  const start = encodeDmaLoggingStart({ page_size: BigInt(page), ranges: [] });
  await feature(client, featureFlags.SET, features.DMA_LOGGING_START, start);
  const before = bytesOf(fd, 0, 4 * page);
  const byMessages = { byMessages: true };
  await device.bus.write(base + 5n, Uint8Array.of(1, 2, 3), byMessages);
  expect([...(await device.bus.read(base + 4n, 5, byMessages))]).toEqual([
    ...memory.subarray(4, 9),
  ]);
  expect(sizes).toEqual([3, 5]);
  expect([...memory.subarray(5, 8)]).toEqual([1, 2, 3]);
  expect(Buffer.compare(bytesOf(fd, 0, 4 * page), before)).toBe(0);
  expect(await report(client, 4 * page, page)).toEqual([]);
});

test("a device can ask what is mapped", async () => {
  const device = busDevice();
  await using client = await attach(device);
  expect(device.bus.maps()).toEqual([]);
  await map(client, READ, { fd: file(page), addr: base + BigInt(page), size: page });
  await map(client, READ, { addr: base, size: page });
  const sizes = { size: BigInt(page) };
  const both = [
    { address: base, ...sizes },
    { address: base + BigInt(page), ...sizes },
  ];
  expect(device.bus.maps()).toEqual(both);
  await client.get("DMA_UNMAP", encodeDmaUnmap({ flags: 0, addr: base, ...sizes }));
  expect(device.bus.maps()).toEqual(both.slice(1));
});

test("an unmap brings what was written last", async () => {
  const device = busDevice({ migration: anyMigration });
  await using client = await attach(device);
  await map(client, READ | WRITE, { fd: file(4 * page) });
  const start = encodeDmaLoggingStart({ page_size: BigInt(page), ranges: [] });
  await feature(client, featureFlags.SET, features.DMA_LOGGING_START, start);
  await device.bus.write(base + BigInt(2 * page), Uint8Array.of(1));
  const flags = dmaUnmapFlags.GET_DIRTY_BITMAP;
  const unmap = {
    flags,
    addr: base,
    size: BigInt(4 * page),
    bitmap: { pgsize: BigInt(page), size: 8n },
  };
  const reply = decodeDmaUnmapReply(await client.get("DMA_UNMAP", encodeDmaUnmap(unmap)));
  expect(reply.bits?.[0]).toBe(4);
  expect(await refusal(device.bus.read(base, 1))).toBe(ENOENT);
});

test("a bitmap that no memory could hold is refused", async () => {
  const device = busDevice({ migration: anyMigration });
  await using client = await attach(device);
  const size = 8n << 40n;
  for (let at = 0n; at < 8n; at++)
    await client.get(
      "DMA_MAP",
      encodeDmaMap({ flags: READ | WRITE | FILE_IO, addr: at * size, size, offset: 0n }),
      [file(page)],
    );
  const start = encodeDmaLoggingStart({ page_size: 1n, ranges: [] });
  expect(await feature(client, featureFlags.SET, features.DMA_LOGGING_START, start)).toBe("ENOMEM");
  const asked = { iova: 0n, length: size, page_size: 1n };
  const { GET } = featureFlags;
  expect(
    await feature(client, GET, features.DMA_LOGGING_REPORT, encodeDmaLoggingReport(asked)),
  ).toBe("EINVAL");
});

test("all that is mapped has a bound, whatever the files are", async () => {
  await using client = await attach(busDevice());
  const size = 8n << 40n;
  const all = Array.from({ length: 5 }, (_, at) =>
    map(client, READ | MMAP, { fd: file(page), addr: BigInt(at) * size, size: Number(size) }),
  );
  const answers = await Promise.all(all);
  expect(answers.filter((answer) => typeof answer !== "string").length).toBe(4);
  expect(answers.at(-1)).toBe("EINVAL");
});

test("nothing of the client's stays open", async () => {
  const before = openDescriptors();
  const device: BusDevice = busDevice();
  const client = await attach(device);
  const fd = memoryFile(page);
  for (const [at, flags] of [MMAP, FILE_IO, 0, 64].entries())
    await map(client, READ | flags, { fd, addr: base + BigInt(at * page), size: page });
  await map(client, READ | FILE_IO, { fd, addr: base + BigInt(page), size: page });
  await client.close();
  closeSync(fd);
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test("what is mapped already may be mapped so again, and not otherwise", async () => {
  const before = openDescriptors();
  const device = busDevice();
  const client = await attach(device);
  const [fd, other] = [memoryFile(8 * page), memoryFile(8 * page)];
  const size = 2 * page;
  const again = async (flags: number, more: Parameters<typeof map>[2]) => {
    const reply = await map(client, flags, { fd, size, ...more });
    return typeof reply === "string" ? reply : "mapped";
  };
  expect(await again(READ, {})).toBe("mapped");
  expect(await again(READ, {})).toBe("mapped");
  const wrong: [number, Parameters<typeof map>[2]][] = [
    [READ | WRITE, {}],
    [READ, { offset: page }],
    [READ, { fd: other }],
    [READ, { fd: -1 }],
    [READ, { size: page }],
    [READ, { addr: base + BigInt(page) }],
    [READ, { addr: base - BigInt(page) }],
    [READ, { addr: base - BigInt(page), size: 4 * page }],
    [READ | 16, { addr: 0n }],
    [READ | MMAP | FILE_IO, { addr: 0n }],
    [READ | MMAP, { addr: 0n, fd: -1 }],
    [READ, { addr: 0n, size: 0 }],
    [READ, { addr: (1n << 64n) - BigInt(page) }],
  ];
  for (const [flags, more] of wrong) expect(await again(flags, more)).toBe("EINVAL");
  expect(await again(READ, { addr: base + BigInt(size) })).toBe("mapped");
  expect(await again(READ, { addr: base - BigInt(size) })).toBe("mapped");
  await client.close();
  for (const each of [fd, other]) closeSync(each);
  await expect.poll(() => openedSince(before)).toEqual([]);
});
