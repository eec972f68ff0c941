/** The channel: memory that nobody else can touch until the kernel has let go, and errors that arrive. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import { Channel, openChannel } from "../../../src/channel/channel.ts";
import type { ChannelMode } from "../../../src/channel/choose.ts";
import { WriteError } from "../../../src/channel/memory.ts";
import { connect } from "../../../src/endpoint/connect.ts";
import { listen } from "../../../src/endpoint/listen.ts";
import { level, option, setInt } from "../../../src/endpoint/socket.ts";
import { openDescriptors, openedSince } from "../../support/descriptors.ts";
import { withPeer } from "../../support/peer.ts";
import { scratch } from "../../support/scratch.ts";
import { listening, zc } from "../../support/zc.ts";

const filled = (size: number, value: number) => new Uint8Array(size).fill(value);

/** zc recv into a file, on TCP or a unix socket. */
async function receiver(folder: ReturnType<typeof scratch>, transport: string) {
  const asked = transport === "unix" ? `unix:${folder.file("socket")}` : ":0";
  const running = await listening(["recv", asked, folder.file("out")]);
  return { ...running, address: parseAddress(running.address) };
}

const engines = ["msg-zerocopy", "io-uring"] as const;

describe.each<[string, ChannelMode]>([
  ["tcp", "auto"],
  ["tcp", "msg-zerocopy"],
  ["tcp", "io-uring"],
  ["unix", "auto"],
])("over %s, %s", (transport, mode) => {
  test("what is written arrives, in order, whatever its size", async () => {
    using folder = scratch();
    const peer = await receiver(folder, transport);
    const channel = await openChannel(peer.address, { mode });
    const sizes = [1, 4096, 16383, 16384, 65537, 1_000_003, 0, 3_000_000];
    const writes = sizes.map((size, index) => channel.write(filled(size, index + 1)));
    await channel.flush();
    const completions = await Promise.all(writes);
    expect(completions.map(({ bytes }) => bytes)).toEqual(sizes);
    await channel.close();
    expect((await peer.result).code).toBe(0);
    const expected = Buffer.concat(sizes.map((size, index) => filled(size, index + 1)));
    expect(readFileSync(folder.file("out")).equals(expected)).toBe(true);
  });

  test("thousands of writes, more than fit, with a few buffers going round", async () => {
    using folder = scratch();
    const peer = await receiver(folder, transport);
    const channel = await openChannel(peer.address, { mode, depth: 8 });
    const free = Array.from({ length: 8 }, () => new Uint8Array(20_000));
    let hash = 0;
    for (let number = 0; number < 3000; number++) {
      const buffer = free.pop() ?? expect.fail("no buffer came back");
      buffer.fill(number % 251);
      hash += number % 251;
      void channel.write(buffer).then(({ buffers }) => free.push(buffers[0] ?? expect.fail()));
      await channel.room();
    }
    await channel.close();
    await peer.result;
    const received = readFileSync(folder.file("out"));
    expect(received.length).toBe(3000 * 20_000);
    let sum = 0;
    for (let at = 0; at < received.length; at += 20_000) sum += received[at] ?? 0;
    expect(sum).toBe(hash);
  });

  test("several views are one write", async () => {
    using folder = scratch();
    const peer = await receiver(folder, transport);
    const channel = await openChannel(peer.address, { mode });
    const shared = Uint8Array.from({ length: 200_000 }, (_, index) => index % 256);
    const views = [shared.subarray(100, 150_000), new Uint8Array(0), shared.subarray(0, 100)];
    const expected = Buffer.concat(views);
    const { buffers, bytes } = await channel.writev(views);
    expect(bytes).toBe(150_000);
    expect(Buffer.concat(buffers).equals(expected)).toBe(true);
    expect(buffers[0]?.buffer).toBe(buffers[2]?.buffer);
    await channel.close();
    await peer.result;
    expect(readFileSync(folder.file("out")).equals(expected)).toBe(true);
  });
});

describe.each(["auto", "io-uring"] as const)("over UDP, %s", (mode) => {
  test("a write is a datagram, whatever its size", async () => {
    const sizes = [1, 0, 1400, 60_000, 20_000];
    const received: number[] = [];
    const all = Promise.withResolvers<void>();
    const peer = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data: (_, data) => {
          received.push(data.byteLength);
          if (received.length === sizes.length) all.resolve();
        },
      },
    });
    const channel = await openChannel(parseAddress(`udp:127.0.0.1:${peer.port}`), { mode });
    for (const size of sizes) expect((await channel.write(filled(size, 1))).bytes).toBe(size);
    await all.promise;
    expect(received).toEqual(sizes);
    await channel.close();
    peer.close();
  });

  test("an error is its datagram's, or the next call's, and ends nothing", async () => {
    const channel = await openChannel(await nobody(), { mode });
    await channel.write(filled(100, 1)); // sent: its refusal comes later
    await expect(eventually(channel)).resolves.toMatchObject({ errnoName: "ECONNREFUSED" });
    await expect(channel.write(filled(70_000, 1))).rejects.toMatchObject({
      errnoName: "EMSGSIZE",
      buffers: [{ length: 70_000 }],
    });
    await expect(channel.flush()).rejects.toMatchObject({ errnoName: "EMSGSIZE" });
    await channel.abort();
  });

  test("an error that only the error queue tells of is not lost either", async () => {
    const connection = await connect(await nobody());
    setInt(connection.fd, level.ip, option.ipReceiveErrors, 1);
    await using channel = new Channel(connection, { mode });
    await channel.write(filled(100, 1));
    await expect(eventually(channel)).resolves.toMatchObject({ errnoName: "ECONNREFUSED" });
  });
});

test("nothing waits for a UDP connection, and no file is sent over it", async () => {
  await expect(listen(parseAddress("udp::0"))).rejects.toMatchObject({ code: "USAGE" });
  const { code, stderr } = await zc(["send", "udp::9", "/dev/null"]);
  expect(stderr).toMatch(/^zc: \[USAGE\] udp:127.0.0.1:9: a transfer needs a stream/);
  expect(code).toBe(2);
});

/** An address where a UDP socket has just been closed. */
async function nobody() {
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port } = socket;
  socket.close();
  return parseAddress(`udp:127.0.0.1:${port}`);
}

/** The error that a flush tells of, once ICMP has brought it. */
async function eventually(channel: Channel): Promise<unknown> {
  for (;;) {
    try {
      await channel.flush();
    } catch (error) {
      return error;
    }
    await new Promise(setImmediate);
  }
}

test.each(engines)("%s: between write and completion the caller does not have it", async (mode) => {
  using folder = scratch();
  const peer = await receiver(folder, "tcp");
  const channel = await openChannel(peer.address, { mode });
  const view = filled(100_000, 7);
  const other = new Uint8Array(view.buffer, 10, 10);
  const write = channel.write(view.subarray(50_000));
  expect([view.length, other.length, view.buffer.detached]).toEqual([0, 0, true]);
  view[0] = 9; // touches nothing
  await expect(channel.write(view)).rejects.toMatchObject({ code: "USAGE" });
  const { buffers } = await write;
  expect(buffers[0]).toMatchObject({ length: 50_000, byteOffset: 50_000 });
  expect(new Uint8Array(buffers[0]?.buffer ?? expect.fail())[0]).toBe(7);
  await expect(channel.flush()).rejects.toMatchObject({ code: "USAGE" }); // the refused one
  await channel.close();
  await peer.result;
});

test.each([
  ["shared", () => new Uint8Array(new SharedArrayBuffer(8))],
  ["WebAssembly's", () => new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer)],
])("memory that is %s is refused, and what came before it given back", async (_, make) => {
  using folder = scratch();
  const peer = await receiver(folder, "tcp");
  await using channel = await openChannel(peer.address);
  const error = await channel.writev([filled(10, 1), make()]).catch((reason) => reason);
  expect(error).toBeInstanceOf(WriteError);
  expect(error).toMatchObject({ code: "USAGE", buffers: [filled(10, 1)] });
});

describe("copies", () => {
  test("over loopback the kernel copies, which is told; after a while it is not asked", async () => {
    using folder = scratch();
    const peer = await receiver(folder, "tcp");
    const channel = await openChannel(peer.address);
    for (let count = 0; count < 400; count++) {
      expect((await channel.write(filled(65_536, 1))).copied).not.toBe(false);
    }
    const { sends, copied, fallbacks } = channel.counters;
    expect(copied).toBeGreaterThan(0);
    expect(sends).toBeGreaterThan(16); // believed after 16, and tried again
    expect(fallbacks).toBeGreaterThan(sends);
    await channel.close();
    await peer.result;
  });

  test.each(engines)("%s, asked for by name, goes on asking", async (mode) => {
    using folder = scratch();
    const peer = await receiver(folder, "tcp");
    const channel = await openChannel(peer.address, { mode });
    for (let count = 0; count < 400; count++) await channel.write(filled(10, 1));
    expect(channel.counters).toMatchObject({ sends: 400, completions: 400, fallbacks: 0 });
    await channel.close();
    await peer.result;
  });

  test("io_uring tells of every send, however many are let go of at once", async () => {
    using folder = scratch();
    const peer = await receiver(folder, "tcp");
    const channel = await openChannel(peer.address, { mode: "io-uring" });
    const writes = Array.from({ length: 400 }, () => channel.write(filled(20_000, 1)));
    for (const { copied } of await Promise.all(writes)) expect(copied).toBe(true);
    expect(channel.counters).toMatchObject({ sends: 400, completions: 400, unknown: 0 });
    await channel.close();
    await peer.result;
  });

  test("a unix socket has none: auto copies and says why, by name it is UNSUPPORTED", async () => {
    using folder = scratch();
    for (const mode of engines) {
      const peer = await receiver(folder, "unix");
      await expect(openChannel(peer.address, { mode })).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining("EOPNOTSUPP"),
      });
      expect((await peer.result).code).toBe(0);
    }
    const again = await receiver(folder, "unix");
    const channel = await openChannel(again.address);
    expect(channel.choice).toMatchObject({
      mode: "copy",
      why: expect.stringMatching(/EOPNOTSUPP/),
    });
    expect((await channel.write(filled(100_000, 1))).copied).toBe(true);
    await channel.close();
    await again.result;
  });
});

describe.each(engines)("errors, %s", (mode) => {
  test("a reset gives each outstanding write its error, and its memory", async () => {
    await withPeer("reset-unread", async (address) => {
      const channel = await openChannel(parseAddress(address), { mode, depth: 4 });
      const writes = Array.from({ length: 40 }, () => channel.write(filled(1_000_000, 1)));
      const results = await Promise.allSettled(writes);
      const failed = results.filter((result) => result.status === "rejected");
      expect(failed.length).toBeGreaterThan(30);
      for (const { reason } of failed) {
        expect(reason).toBeInstanceOf(WriteError);
        expect(reason).toMatchObject({ code: "PEER_RESET", errnoName: "ECONNRESET" });
        expect(reason.buffers[0]).toHaveLength(1_000_000);
      }
      const error = { errnoName: "ECONNRESET" };
      await expect(channel.write(filled(10, 1))).rejects.toMatchObject(error);
      await expect(channel.flush()).rejects.toMatchObject(error);
      await expect(channel.close()).rejects.toMatchObject(error);
    });
  });

  test("who looks at no write hears of it from close", async () => {
    await withPeer("reset-unread", async (address) => {
      const channel = await openChannel(parseAddress(address), { mode });
      for (let count = 0; count < 40; count++) void channel.write(filled(1_000_000, 1));
      await expect(channel.close()).rejects.toMatchObject({ errnoName: "ECONNRESET" });
    });
  });

  test("a peer that never reads holds the memory until the channel is aborted", async () => {
    await withPeer("never-read", async (address) => {
      const channel = await openChannel(parseAddress(address), { mode });
      const writes = Array.from({ length: 20 }, () => channel.write(filled(1_000_000, 1)));
      const settled = Promise.allSettled(writes);
      await channel.abort();
      const failed = (await settled).filter((result) => result.status === "rejected");
      expect(failed.length).toBeGreaterThan(0);
      for (const { reason } of failed) {
        expect(reason).toMatchObject({ code: "PEER_RESET", reason: "aborted here" });
        expect(reason.buffers).toHaveLength(1);
      }
    });
  });

  test("a receiver that is killed: each write is settled, and its memory back", async () => {
    using folder = scratch();
    const peer = await receiver(folder, "tcp");
    const channel = await openChannel(peer.address, { mode });
    const writes = Array.from({ length: 3000 }, () => channel.write(filled(100_000, 1)));
    await writes[100];
    peer.child.kill("SIGKILL");
    const results = await Promise.allSettled(writes);
    const failed = results.flatMap((result) => (result.status === "rejected" ? [result] : []));
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) {
      expect(reason).toMatchObject({ code: "PEER_RESET" });
      expect(reason.buffers[0]).toHaveLength(100_000);
    }
    await channel.abort();
    await peer.result;
  });

  test("closed, it takes nothing any more, and the memory stays the caller's", async () => {
    using folder = scratch();
    const peer = await receiver(folder, "tcp");
    const channel = await openChannel(peer.address, { mode });
    await channel.close();
    await peer.result;
    const view = filled(10, 1);
    await expect(channel.write(view)).rejects.toMatchObject({ code: "USAGE" });
    expect(view).toHaveLength(10);
    expect(statSync(folder.file("out")).size).toBe(0);
  });
});

test.each<[ChannelMode, string]>([
  ["auto", "unix:@zc-small-writes"],
  ["io-uring", "127.0.0.1:0"],
])(
  "many small writes by %s, with a few buffers, cost no growing memory",
  async (mode, at) => {
    const peer = await listening(["recv", at, "/dev/null"]);
    const channel = await openChannel(parseAddress(peer.address), { mode, depth: 256 });
    const free = Array.from({ length: 256 }, () => new Uint8Array(200));
    let resident = 0;
    for (let number = 0; number < 300_000; number++) {
      const buffer = free.pop() ?? expect.fail("no buffer came back");
      void channel.write(buffer).then(({ buffers }) => free.push(buffers[0] ?? expect.fail()));
      await channel.room();
      // Else it is seen how far the collector falls behind on a busy machine.
      if (number % 10_000 === 0) Bun.gc(true);
      if (number === 100_000) resident = process.memoryUsage.rss();
    }
    await channel.close();
    expect(process.memoryUsage.rss() - resident).toBeLessThan(100 << 20);
    expect((await peer.result).code).toBe(0);
  },
  120_000,
);

test.each(engines)(
  "10,000 channels by %s leave no descriptor and no thread",
  async (mode) => {
    const listener = await listen(parseAddress("127.0.0.1:0"));
    const address = parseAddress(listener.address);
    const round = async () => {
      const [connection, accepted] = await Promise.all([connect(address), listener.accept()]);
      const channel = new Channel(connection, { mode });
      void channel.write(filled(20_000, 1));
      await channel.flush();
      await channel.abort();
      accepted.reset();
    };
    for (let index = 0; index < 50; index++) await round();
    const before = openDescriptors();
    const threads = threadCount();
    const resident = process.memoryUsage.rss();
    for (let index = 0; index < 10_000; index++) await round();
    await expect.poll(() => openedSince(before)).toEqual([]);
    // The runtime starts and ends some of its own.
    await expect.poll(() => threadCount()).toBeLessThan(threads + 10);
    expect(process.memoryUsage.rss() - resident).toBeLessThan(200 << 20);
    listener.close();
  },
  120_000,
);

/** How many this process has. */
function threadCount(): number {
  return readdirSync("/proc/self/task").length;
}
