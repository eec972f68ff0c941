/**
 * libvfio-user's samples as the other end. ZC_LIBVFIO_USER names a build folder of a checkout (meson
 * setup, ninja); its samples/server starts up to commit 7e7a0a6, after that it refuses its own BAR.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { migrateDevice } from "../../src/vfio/migrate.ts";
import { parseServer } from "../../src/vfio-user/address.ts";
import { type Client, connectClient } from "../../src/vfio-user/client.ts";
import { UserDevice } from "../../src/vfio-user/device.ts";
import { SharedMemory } from "../../src/vfio-user/shared-memory.ts";
import { scratch } from "../support/scratch.ts";
import { failure, own, ownZc } from "./own.ts";

const build = process.env["ZC_LIBVFIO_USER"] ?? "";
const sample = (name: string) => join(build, "samples", name);
const isThere = build !== "" && existsSync(sample("gpio-pci-idio-16"));

/** Built with meson setup -Dshadow-ioeventfd=true. */
function hasShadows(): boolean {
  const options = join(build, "meson-info", "intro-buildoptions.json");
  if (!existsSync(options)) return false;
  const all: { name: string; value: unknown }[] = JSON.parse(readFileSync(options, "utf8"));
  return all.some(({ name, value }) => name === "shadow-ioeventfd" && value === true);
}

function canServe(): boolean {
  using folder = scratch();
  const socket = folder.file("socket");
  // It waits for a client, or ends at once.
  return spawnSync("timeout", ["1", sample("server"), socket]).status === 124;
}

const retry = ["--retry", "10s"];

/** A sample that listens on a socket of its own, until the test ends. */
function startSample(name: string): string {
  const folder = scratch();
  onTestFinished(() => folder[Symbol.dispose]());
  const socket = folder.file("socket");
  own(sample(name), [socket]);
  return socket;
}

async function connectTo(name: string): Promise<Client> {
  const client = await connectClient(parseServer(startSample(name)), { retryMs: 10_000 });
  onTestFinished(() => client[Symbol.asyncDispose]());
  return client;
}

async function json(...args: string[]) {
  const result = await ownZc(["vfio-user", ...args, ...retry, "--json"]).result;
  expect(failure(result)).toBe("");
  return JSON.parse(result.stdout.toString());
}

/** Bytes of a time_t, so many seconds from now. */
function timeIn(seconds: number): Uint8Array {
  const time = BigInt64Array.of(BigInt(Math.floor(Date.now() / 1000) + seconds));
  return new Uint8Array(time.buffer);
}

/** The mappable pages of the server's region: by a message it gives its first bytes, whatever was asked for. */
async function mapped({ regions }: Client): Promise<string[]> {
  const pages = [await regions.read(1, 0n, 4096), await regions.read(1, 8192n, 4096)];
  return pages.map((page) => page.toHex());
}

function pagesOf(content: Uint8Array): string[] {
  return [content.subarray(0, 4096).toHex(), content.subarray(8192).toHex()];
}

describe.skipIf(!isThere)("libvfio-user's gpio-pci-idio-16", () => {
  test("says what it is", async () => {
    const info = await json("info", startSample("gpio-pci-idio-16"));
    expect(info).toMatchObject({
      ...{ pci: { vendor: 0x494f, device: 0x0dc8 }, canReset: true },
      migration: { stopCopy: true, preCopy: true, p2p: false, state: "RUNNING" },
    });
    expect(info.regions[2]).toMatchObject({ name: "bar2", size: 256, mappable: [] });
    expect(info.interrupts[0]).toMatchObject({ name: "intx", count: 1, eventfd: true });
  });

  test("has pins that are read and written, one client after another", async () => {
    const socket = startSample("gpio-pci-idio-16");
    const pins = async () => (await json("read", socket, "bar2", "1", "1")).hex;
    expect(await pins()).toBe("ff"); // none was raised, or thrice
    const write = ["vfio-user", "write", socket, "bar2", "0", "81"];
    expect(failure(await ownZc(write).result)).toBe("");
    expect(await pins()).toBe("7e");
    expect(failure(await ownZc(["vfio-user", "reset", socket]).result)).toBe("");
  });

  test("refuses what it does not have, and that is told", async () => {
    const client = await connectTo("gpio-pci-idio-16");
    const refused = (errnoName: string) => expect.objectContaining({ code: "DEVICE", errnoName });
    const bar5 = client.regions.read(5, 0n, 4);
    await expect(bar5).rejects.toEqual(refused("EINVAL"));
    const unmap = client.memory.unmap({ address: 0n, size: 4096n });
    await expect(unmap).rejects.toEqual(refused("ENOENT"));
    // An error reply with a payload, which the specification does not allow.
    await expect(client.migration.setState("PRE_COPY_P2P")).rejects.toEqual(refused("EINVAL"));
    expect(await client.migration.state()).toBe("RUNNING");
  });

  test("takes memory: many maps, large ones, and all of them back", async () => {
    const client = await connectTo("gpio-pci-idio-16");
    using memory = new SharedMemory(1 << 20);
    const rights = { readable: true, writable: true };
    await client.memory.map({
      address: 0n,
      size: 1n << 20n,
      ...rights,
      file: { fd: memory.fd, offset: 0n },
    });
    await client.memory.map({ address: 1n << 40n, size: 1n << 36n, ...rights });
    expect(client.memory.mappings.length).toBe(2);
    await client.memory.unmapAll();
    await client.memory.map({ address: 0n, size: 4096n, ...rights });
    await client.memory.unmap({ address: 0n, size: 4096n });
  });

  test("answers as fast as it can, measured in C", async () => {
    const socket = startSample("gpio-pci-idio-16");
    const { reads } = await json("bench", socket, "--time", "50ms", "--depth", "8");
    expect(reads.count).toBeGreaterThan(0);
  });
});

describe.skipIf(!isThere || !hasShadows())("libvfio-user's shadow_ioeventfd_server", () => {
  test("gives a descriptor for a register, and shadow memory", async () => {
    const client = await connectTo("shadow_ioeventfd_server");
    const { subRegions, fds } = await client.regions.ioFds(0);
    for (const fd of fds) closeSync(fd);
    expect(subRegions).toEqual([
      expect.objectContaining({
        type: "ioeventfd-shadow",
        offset: 0n,
        size: 4n,
        shadow_offset: 0n,
      }),
    ]);
    expect(fds.length).toBe(2);
  });
});

describe.skipIf(!isThere || !canServe())("libvfio-user's server", () => {
  test("has a region that can be mapped in part", async () => {
    const client = await connectTo("server");
    const { areas, size } = await client.regions.info(1);
    expect([size, areas]).toEqual([
      12288n,
      [
        { offset: 0n, size: 4096n },
        { offset: 8192n, size: 4096n },
      ],
    ]);
    const content = crypto.getRandomValues(new Uint8Array(12288));
    await client.regions.write(1, 0n, content);
    expect(await mapped(client)).toEqual(pagesOf(content));
  });

  test("interrupts, and does DMA through a descriptor and by messages, which is logged", async () => {
    const client = await connectTo("server");
    using one = new SharedMemory(4096);
    using two = new SharedMemory(4096);
    const rights = { size: 4096n, readable: true, writable: true };
    const writes: bigint[] = [];
    const done = Promise.withResolvers<void>();
    const target = {
      // It writes all of it, and reads it back in two pieces.
      read: (offset: bigint, size: number) => {
        if (offset + BigInt(size) === 4096n) done.resolve();
        return one.read(offset, size);
      },
      write: (offset: bigint, data: Uint8Array) => {
        writes.push(offset);
        one.write(offset, data);
      },
    };
    await client.memory.map({ address: 0n, ...rights, target });
    await client.memory.map({ address: 4096n, ...rights, file: { fd: two.fd, offset: 0n } });
    const [interrupt] = await client.interrupts.listen(0, 0, 1);
    await client.migration.startDmaLogging([{ address: 4096n, size: 4096n }], 4096);
    await client.regions.write(0, 0n, timeIn(3));
    expect(await interrupt?.wait({ timeoutMs: 20_000 })).toBe(1n);
    interrupt?.[Symbol.dispose]();
    await done.promise;
    expect(writes).toEqual([0n, 1024n, 2048n, 3072n]);
    for (const { bytes } of [one, two])
      expect([0, 1024, 2048, 3072].map((at) => bytes[at])).toEqual([0x41, 0x42, 0x43, 0x44]);
    const log = await client.migration.takeDmaLog({ address: 4096n, size: 4096n }, 4096);
    expect(log.bitmap[0]).toBe(1);
    await client.migration.stopDmaLogging();
  });

  test("migrates into another", async () => {
    const open = async (name: string) => new UserDevice(name, await connectTo("server"));
    const [from, to] = [await open("from"), await open("to")];
    const content = crypto.getRandomValues(new Uint8Array(12288));
    await from.client.regions.write(1, 0n, content);
    // It sets a timer to this time when it runs, and refuses one that is over.
    await from.client.regions.write(0, 0n, timeIn(1000));
    // What it gives in PRE_COPY it gives again, and then does not take so much.
    const { bytes } = await migrateDevice(from, to, { preCopy: false, downtimeMs: 300 });
    expect(bytes).toBe(12288 + 8);
    expect([await from.state(), await to.state()]).toEqual(["STOP", "RUNNING"]);
    expect(await mapped(to.client)).toEqual(pagesOf(content));
  });

  test("when the other refuses its state, it runs again", async () => {
    const open = async (name: string) => new UserDevice(name, await connectTo("server"));
    const [from, to] = [await open("from"), await open("to")];
    await from.client.regions.write(0, 0n, timeIn(1000));
    const recoveries: unknown[] = [];
    const migration = migrateDevice(from, to, {
      ...{ preCopy: true, downtimeMs: 300 },
      onRecovered: (both) => recoveries.push(both),
    });
    await expect(migration).rejects.toMatchObject({ code: "PROTOCOL" });
    expect(recoveries).toMatchObject([
      { source: { state: "RUNNING" }, destination: { state: "RUNNING", action: "reset" } },
    ]);
  });

  // The client connects to a server that it starts as soon as that has a socket, which may not listen
  // yet: then it gives up, and the server waits.
  const retries = { retry: 4, timeout: 20_000 };
  test("and its client, which run through a trace as they do without", retries, async () => {
    const folder = scratch();
    onTestFinished(() => folder[Symbol.dispose]());
    const traced = folder.file("traced");
    const server = startSample("server");
    const tracing = ownZc(["vfio-user", "trace", traced, server, "--json", ...retry]);
    await tracing.note(/listening/);
    const client = own(sample("client"), [traced]);
    expect(failure(await client.result)).toBe("");
    const result = await tracing.result;
    expect(failure(result)).toBe("");
    const lines = result.stdout.toString().trimEnd().split("\n");
    const messages = lines.map((line) => JSON.parse(line));
    expect(messages.filter(({ malformed }) => malformed !== undefined)).toEqual([]);
    const commands = new Set(messages.map(({ command }) => command));
    for (const name of ["VERSION", "DMA_MAP", "DMA_WRITE", "DEVICE_FEATURE", "MIG_DATA_READ"])
      expect(commands).toContain(name);
    expect(messages.at(-1)).toMatchObject({ messages: messages.length - 1 });
  });
});
