/** zc vfio-user, as a user types it, with a device that is served here, and with zc's own. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import type * as z from "zod";
import { parseServer } from "../../../src/vfio-user/address.ts";
import { connectClient } from "../../../src/vfio-user/client.ts";
import { vfioUserSchemas } from "../../../src/vfio-user/report.schema.ts";
import type { Bus, DeviceMigration, VirtualDevice } from "../../../src/vfio-user/server/device.ts";
import { serveDevice } from "../../../src/vfio-user/server/serve.ts";
import { SharedMemory } from "../../../src/vfio-user/shared-memory.ts";
import { fullPipe } from "../../support/full-pipe.ts";
import { type Scratch, scratch } from "../../support/scratch.ts";
import { type Result, type Running, startZc, zc } from "../../support/zc.ts";

const size = 3 * 4096;

interface Served {
  readonly socket: string;
  readonly memory: Uint8Array;
  readonly folder: Scratch;
  /** Of the second BAR. */
  readonly bells: number[];
  readonly resets: string[];
}

/** Memory in the first BAR, half of it mappable; the second one's bell makes it use its bus. */
async function served(onBell: (bus: Bus) => Promise<void> | void = () => {}): Promise<Served> {
  const folder = scratch();
  const memory = new SharedMemory(size);
  const [bells, resets]: [number[], string[]] = [[], []];
  let bus: Bus | undefined;
  const device: VirtualDevice = {
    ...{ name: "test", isPci: true, interrupts: { 0: 1, 2: 4 } },
    regions: {
      0: {
        memory: memory.bytes,
        mapping: { fd: memory.fd, areas: [{ offset: 4096n, size: 4096n }] },
      },
      2: {
        size: 4,
        read: (_, count) => new Uint8Array(count),
        write: async (_, [value = 0]) => {
          bells.push(value);
          if (bus !== undefined) await onBell(bus);
        },
      },
      7: { memory: Uint8Array.fromHex(`34125678000000000100ff00${"00".repeat(244)}`) },
    },
    attached: (its) => {
      bus = its;
    },
    reset: (reason) => void resets.push(reason),
  };
  onTestFinished(() => {
    memory[Symbol.dispose]();
    folder[Symbol.dispose]();
  });
  const socket = await serve(device);
  return { socket, memory: memory.bytes, folder, bells, resets };
}

/** Served here until the test ends; where. */
async function serve(device: VirtualDevice): Promise<string> {
  const folder = scratch();
  const stop = new AbortController();
  const listening = Promise.withResolvers<string>();
  const address = parseServer(folder.file("socket"));
  const serving = serveDevice({
    address,
    device,
    signal: stop.signal,
    onListening: listening.resolve,
  });
  onTestFinished(async () => {
    stop.abort(new Error("over"));
    await serving.catch(() => {});
    folder[Symbol.dispose]();
  });
  return await listening.promise;
}

/** A device of which nothing is there but its migration, likewise. */
function serveMigration(migration: Partial<DeviceMigration>): Promise<string> {
  return serve({
    ...{ name: "test", isPci: true, regions: {} },
    migration: {
      features: { stopCopy: true, p2p: false, preCopy: true },
      setState: () => {},
      read: () => new Uint8Array(0),
      write: () => {},
      ...migration,
    },
  });
}

/** One of zc's own, in a process. */
async function ownServer(socket: string, args: readonly string[]): Promise<Running> {
  const server = startZc(["vfio-user", "serve", socket, ...args]);
  onTestFinished(() => void server.child.kill());
  await server.note(/listening on/);
  return server;
}

function vfioUser(...args: string[]): Promise<Result> {
  return zc(["vfio-user", ...args]);
}

function text({ code, stdout, stderr }: Result): string {
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.toString();
}

type Name = keyof typeof vfioUserSchemas;

/** The JSON lines, each as its schema says. */
function lines<N extends Name>(
  name: N,
  { stdout }: Result,
): z.infer<(typeof vfioUserSchemas)[N]>[] {
  const each = stdout.toString().trimEnd().split("\n");
  return each.map((line) => vfioUserSchemas[name].parse(JSON.parse(line))) as never;
}

test("info: regions, interrupts, who it is", async () => {
  const { socket } = await served();
  const told = text(await vfioUser("info", socket));
  expect(told).toContain("PCI 1234:7856, class 00ff00, revision 01");
  expect(told).toMatch(/0 +bar0 +rw +12.0 KiB +0x1000\+0x1000/);
  expect(told).toMatch(/2 +msix +4 +eventfd/);
  expect(told).toMatch(/migration +none/);
  const [info] = lines("vfio-user-info", await vfioUser("info", "--json", socket));
  expect(info).toMatchObject({ isPci: true, twinSocket: true, pci: { vendor: 0x1234 } });
});

test("read and write: by messages and through the mapping, by name and by number", async () => {
  const { socket, memory, folder, bells } = await served();
  crypto.getRandomValues(memory);
  const all = await vfioUser("read", socket, "bar0", "0", "12K", "--raw");
  expect([all.code, Buffer.compare(all.stdout, memory)]).toEqual([0, 0]);
  const unmapped = await vfioUser("read", socket, "0", "0", "12K", "--raw", "--no-map");
  expect(Buffer.compare(unmapped.stdout, memory)).toBe(0);
  text(await vfioUser("write", socket, "bar0", "4094", "01 02 03 04"));
  expect([...memory.subarray(4094, 4098)]).toEqual([1, 2, 3, 4]);
  const dump = text(await vfioUser("read", socket, "bar0", "0xffe", "4"));
  expect(dump).toMatch(/^00000ffe {2}01 02 03 04 +\|\.\.\.\.\|\n$/);
  const [read] = lines(
    "vfio-user-read",
    await vfioUser("read", socket, "bar0", "4094", "2", "--json"),
  );
  expect(read).toEqual({ region: 0, offset: "0xffe", bytes: 2, hex: "0102" });
  writeFileSync(folder.file("content"), "from a file");
  text(await vfioUser("write", socket, "bar0", "0", `@${folder.file("content")}`));
  expect(new TextDecoder().decode(memory.subarray(0, 11))).toBe("from a file");
  const writing = startZc(["vfio-user", "write", socket, "bar0", "1", "-"], { stdin: "pipe" });
  writing.child.stdin?.end("RO");
  text(await writing.result);
  expect(new TextDecoder().decode(memory.subarray(0, 4))).toBe("fROm");
  text(await vfioUser("write", socket, "bar2", "0", "07", "--posted"));
  text(await vfioUser("read", socket, "bar2", "0", "4")); // its turn comes when that is done
  expect(bells).toEqual([7]);
});

test.each([
  [["read", "SOCKET", "bar9", "0", "4"], 2, /none of bar0/],
  [["read", "SOCKET", "bar0", "0x1ffffffffffffffff", "4"], 2, /more than 64 bits/],
  [["write", "SOCKET", "bar0", "0", "xyz"], 2, /not bytes in hexadecimal/],
  [["irqs", "SOCKET", "--wait", "msix"], 2, /not INDEX:SUBINDEX/],
  [["irqs", "SOCKET", "--count", "3"], 2, /for --wait/],
  [["info", "tcp:127.0.0.1:1"], 1, /tcp:127.0.0.1:1/],
  [["read", "SOCKET", "bar0", "12K", "1", "--no-map"], 1, /\[DEVICE\].*EINVAL/],
  [["read", "SOCKET", "bar5", "0", "1"], 1, /\[DEVICE\].*EINVAL/],
  [["read", "SOCKET", "bar0", "0", "5G", "--json"], 2, /5368709120 is more than 64.0 MiB/],
  [["write", "SOCKET", "bar0", "4K", "@/dev/zero"], 2, /more bytes than the region has.*, 8192/],
  [["write", "SOCKET", "bar0", "16K", "@/dev/zero"], 2, /more bytes than the region has.*, 0/],
  [["write", "SOCKET", "bar0", "0", "-"], 2, /standard input: it is empty/],
  [["write", "SOCKET", "bar0", "0", "@/nowhere"], 1, /\[READ_SOURCE\].*nowhere.*ENOENT/],
  [["write", "SOCKET", "bar0", "0", "@/proc/self/mem"], 1, /\[READ_SOURCE\].*mem.*EIO/],
  [["dma", "SOCKET", "0", "64G"], 2, /68719476736 is more than 4.0 GiB/],
  [["dma", "SOCKET", "0", "4K", "--in", "/dev/zero"], 2, /zero has more bytes than SIZE/],
  [["info", "SOCKET", "--reply-timeout", "1000h"], 2, /more than 2147483647 milliseconds/],
])("%j ends with %d and says why", async (args, code, why) => {
  const { socket } = await served();
  const result = await vfioUser(...args.map((arg) => (arg === "SOCKET" ? socket : arg)));
  expect([result.code, why.test(result.stderr)]).toEqual([code, true]);
});

test("irqs: listed, and awaited", async () => {
  const { socket } = await served((bus) => {
    for (const subindex of [1, 2]) bus.trigger(2, subindex);
  });
  const [listed] = lines("vfio-user-irqs", await vfioUser("irqs", socket, "msix", "--json"));
  expect(listed).toMatchObject({ interrupts: [{ index: 2, name: "msix", count: 4 }] });
  const ring = ["--write", "bar2:0:01"];
  const wait = ["--wait", "msix:1-3", "--count", "2", "--timeout", "20s"];
  const came = lines("vfio-user-irqs", await vfioUser("irqs", socket, "--json", ...wait, ...ring));
  expect(came.map((line) => "subindex" in line && line.subindex).toSorted()).toEqual([1, 2]);
  const none = await vfioUser("irqs", socket, "--wait", "intx:0", "--timeout", "10ms");
  expect([none.code, none.stdout.length]).toEqual([0, 0]);
  const late = await vfioUser(
    ...["irqs", socket, "--wait", "intx:0", "--count", "1", "--timeout", "10ms", ...ring],
  );
  expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("[TIMEOUT]")]);
});

test.each([["--no-fd"], []])("dma: what the device reads and writes, %j", async (...options) => {
  const seen: string[] = [];
  const { socket, folder } = await served(async (bus) => {
    seen.push(new TextDecoder().decode(await bus.read(0x10004n, 5)));
    await bus.write(0x10100n, new TextEncoder().encode("and back"));
  });
  const files = ["--in", folder.file("in"), "--out", folder.file("out")];
  writeFileSync(folder.file("in"), "....there");
  const result = await vfioUser(
    ...["dma", socket, "0x10000", "4K", ...files, "--write", "bar2:0:01", "--timeout", "1ms"],
    ...["--json", ...options],
  );
  expect([result.code, seen]).toEqual([0, ["there"]]);
  const told = lines("vfio-user-dma", result);
  const changed = [{ address: "0x10100", size: 8 }];
  const byMessages = options.length > 0;
  const messages = byMessages
    ? { reads: 1, writes: 1, bytesRead: 5, bytesWritten: 8 }
    : { reads: 0, writes: 0, bytesRead: 0, bytesWritten: 0 };
  expect(told.at(-1)).toMatchObject({ address: "0x10000", size: 4096, messages, changed });
  const accesses = told.slice(0, -1).map((line) => "access" in line && [line.access, line.hex]);
  const both = [
    ["read", Buffer.from("there").toString("hex")],
    ["write", Buffer.from("and back").toString("hex")],
  ];
  expect(accesses).toEqual(byMessages ? both : []);
  const out = readFileSync(folder.file("out"));
  expect([out.length, out.toString("utf8", 0x100, 0x108)]).toEqual([4096, "and back"]);
});

/** Its bell is never answered, nor anything behind it: a server that hangs. */
async function hanging(): Promise<Served & { readonly rung: Promise<void> }> {
  const rung = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const device = await served(() => {
    rung.resolve();
    return end.promise;
  });
  onTestFinished(() => end.resolve());
  return { ...device, rung: rung.promise };
}

const ringForEver = ["--write", "bar2:0:01", "--reply-timeout", "10m"];

test("dma: after a signal the result is told, even if the server hangs", async () => {
  const { socket, folder, rung } = await hanging();
  const out = folder.file("out");
  const args = ["dma", socket, "0", "4K", "--json", "--out", out, ...ringForEver];
  const running = startZc(["vfio-user", ...args]);
  await rung;
  running.child.kill("SIGINT");
  const result = await running.result;
  expect([result.code, lines("vfio-user-dma", result)]).toMatchObject([128 + 2, [{ size: 4096 }]]);
  expect(readFileSync(out).length).toBe(4096);
});

test("dma: when the server goes away the result is told, and then that", async () => {
  using folder = scratch();
  const socket = folder.file("device");
  const server = await ownServer(socket, ["--device", "gpio"]);
  const running = startZc(["vfio-user", "dma", socket, "0", "4K", "--json"]);
  await running.note(/mapped/);
  server.child.kill("SIGKILL");
  const result = await running.result;
  expect([result.code, lines("vfio-user-dma", result)]).toMatchObject([
    1,
    [{ size: 4096 }, { error: { code: "PEER_RESET" } }],
  ]);
});

test("irqs: a signal ends the waiting, even if the server hangs", async () => {
  const { socket, rung } = await hanging();
  const running = startZc(["vfio-user", "irqs", socket, "--wait", "msix:0", ...ringForEver]);
  await rung;
  running.child.kill("SIGINT");
  expect((await running.result).code).toBe(128 + 2);
});

test.each([
  ["write", (socket: string, pipe: string) => ["write", socket, "bar0", "0", `@${pipe}`]],
  ["dma", (socket: string, pipe: string) => ["dma", socket, "0", "4K", "--in", pipe]],
])("%s: a pipe is read as it comes, and a signal ends that", async (_, args) => {
  const { socket, folder } = await served();
  const pipe = folder.file("pipe");
  execFileSync("mkfifo", [pipe]);
  const running = startZc(["vfio-user", ...args(socket, pipe)]);
  const writer = await open(pipe, "w"); // which waits for the reader
  running.child.kill("SIGTERM");
  expect((await running.result).code).toBe(128 + 15);
  await writer.close();
});

test("write: what comes in pieces is one", async () => {
  const { socket, folder, bells } = await served();
  const pipe = folder.file("pipe");
  execFileSync("mkfifo", [pipe]);
  const running = startZc(["vfio-user", "write", socket, "bar2", "0", `@${pipe}`]);
  const writer = await open(pipe, "w");
  for (const piece of [1, 2]) await writer.write(Uint8Array.of(piece, 0));
  await writer.close();
  text(await running.result);
  expect(bells).toEqual([1]);
});

test("reset", async () => {
  const { socket, resets } = await served();
  text(await vfioUser("reset", socket));
  await expect.poll(() => resets).toEqual(["asked", "disconnected"]);
});

test("bench: reads, and migration data; the device is as it was", async () => {
  using folder = scratch();
  const socket = folder.file("device");
  await ownServer(socket, ["--device", "memory", "--size", "1M"]);
  const options = ["--region", "bar0", "--time", "20ms", "--depth", "4", "--migration", "--json"];
  const [bench] = lines("vfio-user-bench", await vfioUser("bench", socket, ...options));
  if (bench === undefined || "error" in bench) throw new Error("it failed");
  expect(bench.reads.count).toBeGreaterThan(0);
  expect(bench.reads.latencyNs?.p50).toBeGreaterThan(0);
  expect(bench.migration?.bytes).toBeGreaterThan(1 << 20);
  const [info] = lines("vfio-user-info", await vfioUser("info", socket, "--json"));
  expect(info).toMatchObject({ migration: { state: "RUNNING" } });
});

test("migrate: what was in the one is in the other, which runs", async () => {
  using folder = scratch();
  const [from, to] = [folder.file("from"), folder.file("to")];
  await ownServer(from, ["--device", "memory", "--size", "1M"]);
  await ownServer(to, ["--device", "memory", "--size", "1M"]);
  const content = folder.random("content", 1 << 20);
  text(await vfioUser("write", from, "bar0", "0", `@${content}`));
  const [migrated] = lines("vfio-user-migrate", await vfioUser("migrate", from, to, "--json"));
  if (migrated === undefined || "error" in migrated) throw new Error("it failed");
  expect(migrated.preCopyBytes + migrated.stopCopyBytes).toBe(migrated.bytes);
  expect(migrated.preCopyBytes).toBeGreaterThan(1 << 20);
  const there = await vfioUser("read", to, "bar0", "0", "1M", "--raw");
  expect(there.stdout.equals(readFileSync(content))).toBe(true);
});

test("migrate: after a failure the source runs again, and the destination is reset", async () => {
  using folder = scratch();
  const [from, to] = [folder.file("from"), folder.file("to")];
  await ownServer(from, ["--device", "memory", "--size", "2M"]);
  await ownServer(to, ["--device", "memory", "--size", "1M"]);
  const result = await vfioUser("migrate", from, to, "--json");
  expect(result.code).toBe(4);
  expect(lines("vfio-user-migrate", result)).toMatchObject([
    {
      error: { code: "PROTOCOL" },
      recovered: {
        source: { state: "RUNNING", action: "unwound" },
        destination: { state: "RUNNING", action: "reset" },
      },
    },
  ]);
  expect(result.stderr).toMatch(/from rests in RUNNING.*\n.*to rests in RUNNING, and was reset/);
});

test("migrate: a signal ends the wait for a destination that does not answer", async () => {
  using folder = scratch();
  const from = folder.file("from");
  await ownServer(from, ["--device", "memory", "--size", "1M"]);
  const [asked, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const to = await serveMigration({
    setState: (_, state) => {
      if (state !== "RESUMING") return;
      asked.resolve();
      return over.promise;
    },
  });
  onTestFinished(() => over.resolve());
  const migrating = startZc(["vfio-user", "migrate", from, to]);
  await asked.promise;
  migrating.child.kill("SIGINT");
  const { code, stderr } = await migrating.result;
  expect(code).toBe(128 + 2);
  expect(stderr).toContain("from rests in RUNNING, and lost nothing");
});

test("migrate: the one that owes something is blamed when nothing moves", async () => {
  const over = Promise.withResolvers<Uint8Array>();
  const full: Partial<DeviceMigration> = { read: (bytes) => new Uint8Array(bytes) };
  const pairs = [
    { source: full, destination: { write: async () => void (await over.promise) }, blamed: "to" },
    { source: { read: () => over.promise }, destination: {}, blamed: "from" },
  ] as const;
  for (const { source, destination, blamed } of pairs) {
    const sockets = { from: await serveMigration(source), to: await serveMigration(destination) };
    onTestFinished(() => over.resolve(new Uint8Array(0)));
    const limits = ["--timeout", "1s", "--reply-timeout", "2s"];
    const { code, stderr } = await vfioUser("migrate", sockets.from, sockets.to, ...limits);
    expect([code, stderr]).toEqual([1, expect.stringContaining("nothing moved for 1000 ms")]);
    expect(stderr).toContain(`[TIMEOUT] move bytes with ${sockets[blamed]}:`);
  }
});

test("zc vfio takes such a device as any other", async () => {
  using folder = scratch();
  const socket = folder.file("device");
  await ownServer(socket, ["--device", "memory", "--size", "1M"]);
  text(await vfioUser("write", socket, "bar0", "8", "2a"));
  const device = `vfio-user:${socket}`;
  expect(text(await zc(["vfio", "info", device]))).toContain(`device      ${device}`);
  text(await zc(["vfio", "save", device, folder.file("state"), "-q"]));
  text(await vfioUser("write", socket, "bar0", "8", "00"));
  text(await zc(["vfio", "resume", device, folder.file("state"), "-q", "--run"]));
  expect(text(await vfioUser("read", socket, "bar0", "8", "1"))).toContain("2a");
  writeFileSync(folder.file("other"), "no state at all");
  const wrong = await zc(["vfio", "resume", device, folder.file("other"), "-q"]);
  expect([wrong.code, wrong.stderr]).toEqual([4, expect.stringContaining("[PROTOCOL]")]);
});

test("trace: every message of both sides, and the ends", async () => {
  const { socket, folder } = await served(async (bus) => void (await bus.read(0n, 1)));
  const between = folder.file("between");
  const tracing = startZc(["vfio-user", "trace", between, socket, "--json"]);
  await tracing.note(/listening/);
  const dma = ["--no-fd", "--write", "bar2:0:01", "--timeout", "1ms", "-q"];
  const client = await vfioUser("dma", between, "0", "4K", ...dma);
  expect(client.code).toBe(0);
  const result = await tracing.result;
  expect(result.code).toBe(0);
  const told = lines("vfio-user-trace", result);
  expect(told.at(-1)).toMatchObject({ connection: 1, end: "client", messages: told.length - 1 });
  const words = told.map((line) =>
    "type" in line ? `${line.socket} ${line.from} ${line.command}` : "",
  );
  expect(words.slice(0, 4)).toEqual([
    ...["main client VERSION", "main server VERSION"],
    ...["main client DMA_MAP", "main server DMA_MAP"],
  ]);
  expect(words).toContain("twin server DMA_READ");
  expect(words).toContain("twin client DMA_READ");
});

test("trace: lines for a person, several connections, and a reader that goes away", async () => {
  const { socket, folder } = await served();
  const between = folder.file("between");
  const tracing = startZc(["vfio-user", "trace", between, socket, "--keep-open"]);
  await tracing.note(/listening/);
  text(await vfioUser("reset", between));
  text(await vfioUser("reset", between));
  await tracing.note(/2 4 messages, the client ended it/);
  tracing.child.kill("SIGTERM");
  const { code, stdout } = await tracing.result;
  expect(code).toBe(128 + 15);
  expect(stdout.toString()).toMatch(/^2 > 2 DEVICE_RESET\n2 < 2 DEVICE_RESET ok$/m);
  const deaf = startZc(["vfio-user", "trace", folder.file("deaf"), socket]);
  deaf.child.stdout?.destroy();
  await deaf.note(/listening/);
  await vfioUser("reset", folder.file("deaf"));
  expect((await deaf.result).code).toBe(128 + 13);
});

test("trace: interrupted before a client comes, it leaves no socket behind", async () => {
  using folder = scratch();
  const between = folder.file("between");
  const tracing = startZc(["vfio-user", "trace", between, folder.file("nobody")]);
  await tracing.note(/listening/);
  tracing.child.kill("SIGINT");
  expect((await tracing.result).code).toBe(128 + 2);
  expect(existsSync(between)).toBe(false);
});

test("trace: a reader that reads nothing holds up nobody, and no signal", async () => {
  const { socket, folder } = await served();
  const between = folder.file("between");
  const stdout = await fullPipe();
  const tracing = startZc(["vfio-user", "trace", between, socket, "--json"], { stdout });
  await tracing.note(/listening/);
  const client = await connectClient(parseServer(between), { timeoutMs: 5000 });
  for (let call = 0; call < 10; call++) await client.info();
  tracing.child.kill("SIGTERM");
  expect((await tracing.result).code).toBe(128 + 15);
  await client[Symbol.asyncDispose]();
});

test.each([["--raw"], ["--no-map"]])("read: no reader holds up a signal, %s", async (option) => {
  using folder = scratch();
  const [socket, pipe] = [folder.file("device"), folder.file("pipe")];
  await ownServer(socket, ["--device", "memory", "--size", "64M"]);
  execFileSync("mkfifo", [pipe]);
  const stdout = openSync(pipe, constants.O_RDWR);
  onTestFinished(() => closeSync(stdout));
  const args = ["vfio-user", "read", socket, "bar0", "0", "64M", option];
  const reading = startZc(args, { stdout });
  const reader = await open(pipe, "r");
  await reader.read(new Uint8Array(1)); // it has begun
  reading.child.kill("SIGTERM");
  expect((await reading.result).code).toBe(128 + 15);
  await reader.close();
});
