/** zc recv --mode tcp-zerocopy: what is mapped, what is not, and that nothing waits for more. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { hashOf, type Scratch, scratch } from "../../support/scratch.ts";
import { launcher, listening, start, startZc, zc } from "../../support/zc.ts";

const size = 17_000_009;
const pageMss = ["--mss", "4108"];
const receiving = ["--mode", "tcp-zerocopy"];

/** What the receiver's summary says. */
async function received(folder: Scratch, mode: string, ...options: readonly string[]) {
  const file = folder.random("in", size);
  const args = [":0", folder.file("out"), ...receiving, "--json", ...options];
  const receiver = await listening(["recv", ...args]);
  const sent = await zc(["send", receiver.address, file, "--mode", mode]);
  const { code, stdout } = await receiver.result;
  expect({ sent: sent.code, code }).toEqual({ sent: 0, code: 0 });
  expect(hashOf(folder.file("out"))).toBe(hashOf(file));
  const summary = JSON.parse(stdout.toString());
  expect(summary).toMatchObject({ mode: "tcp-zerocopy", bytes: size });
  return summary;
}

test.each(["msg-zerocopy", "io-uring"])("page-sized segments by %s are mapped", async (mode) => {
  using folder = scratch();
  const { zerocopy, settings } = await received(folder, mode, ...pageMss);
  expect(zerocopy.received).toBeGreaterThan(0.9 * size);
  expect(zerocopy.received).toBeLessThanOrEqual(size);
  expect(settings).toEqual({ mss: 4096 });
});

test("a pipe's pages, spliced, are mapped", async () => {
  using folder = scratch();
  const file = folder.random("in", size);
  const args = [":0", folder.file("out"), ...receiving, "--json", ...pageMss];
  const receiver = await listening(["recv", ...args]);
  const command = `cat ${file} | ${launcher} send ${receiver.address} --mode splice -q`;
  const sender = Bun.spawn(["sh", "-c", command]);
  expect(await sender.exited).toBe(0);
  const { stdout } = await receiver.result;
  expect(JSON.parse(stdout.toString()).zerocopy.received).toBeGreaterThan(0.9 * size);
  expect(hashOf(folder.file("out"))).toBe(hashOf(file));
});

test.each(["copy", "sendfile"])("from a sender by %s nothing is, and it is whole", async (mode) => {
  using folder = scratch();
  expect((await received(folder, mode, ...pageMss)).zerocopy.received).toBe(0);
});

test("segments that are not page-sized are mapped in part", async () => {
  using folder = scratch();
  const { zerocopy } = await received(folder, "msg-zerocopy", "--mss", "10000");
  expect(zerocopy.received).toBeLessThan(0.95 * size);
});

test.each(["4096", "4099", "65537", "1048583", "4194304"])(
  "in chunks of %s bytes it is whole",
  async (chunk) => {
    using folder = scratch();
    const { zerocopy } = await received(folder, "msg-zerocopy", ...pageMss, "--chunk", chunk);
    expect(zerocopy.received).toBeGreaterThan(0.5 * size);
  },
);

test.each([
  ["msg-zerocopy", /tcp-zerocopy: (9\d|> 99|100) % of the bytes mapped, not copied; cpu/],
  ["copy", /tcp-zerocopy: 0 % of the bytes mapped, not copied \(.*--mss 4108 on both ends/],
])("what was mapped of a sender's by %s is told, and why not", async (mode, text) => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out"), ...receiving, ...pageMss]);
  await zc(["send", receiver.address, folder.random("in", size), "--mode", mode]);
  expect((await receiver.result).stderr).toMatch(text);
});

test.each([1, 4095, 4096, 4097, 100_001, 1_048_577])("--bytes %i stops there", async (bytes) => {
  using folder = scratch();
  const file = folder.random("in", size);
  const args = [":0", ...receiving, ...pageMss, "--bytes", `${bytes}`];
  const receiver = await listening(["recv", ...args]);
  const sender = startZc(["send", receiver.address, file, "--mode", "msg-zerocopy"]);
  const { code, stdout } = await receiver.result;
  expect(code).toBe(0);
  const part = (await Bun.file(file).bytes()).subarray(0, bytes);
  expect(Buffer.compare(stdout, part)).toBe(0);
  await sender.result;
});

test.each([size - 1, size + 1])("--size %i, of more or less, is exit 4", async (wrong) => {
  using folder = scratch();
  const args = [":0", folder.file("out"), ...receiving, ...pageMss, "--size", `${wrong}`];
  const receiver = await listening(["recv", ...args]);
  await zc(["send", receiver.address, folder.random("in", size), "--mode", "msg-zerocopy"]);
  const { code, stderr } = await receiver.result;
  expect(stderr).toMatch(/\[TRUNCATED\]/);
  expect(code).toBe(4);
  expect(existsSync(folder.file("out"))).toBe(false);
});

test.each(["msg-zerocopy", "copy"])(
  "--checksum of what %s sends is the content's",
  async (mode) => {
    using folder = scratch();
    const file = folder.random("in", size);
    const expected = `sha256:${hashOf(file)}`;
    const args = [":0", folder.file("out"), ...receiving, ...pageMss, "--expect", expected];
    const receiver = await listening(["recv", ...args]);
    await zc(["send", receiver.address, file, "--mode", mode]);
    const { code, stderr } = await receiver.result;
    expect(stderr).toMatch(/length verified/);
    expect(code).toBe(0);
  },
);

test.each([
  ["slower than", ["--rate", "20M"], []],
  ["faster than", [], ["--rate", "20M"]],
])("a receiver that is %s its sender", async (_, slowReceiver, slowSender) => {
  using folder = scratch();
  const file = folder.random("in", size);
  const args = [":0", folder.file("out"), ...receiving, ...pageMss, "--json", ...slowReceiver];
  const receiver = await listening(["recv", ...args]);
  const sending = ["--mode", "msg-zerocopy", ...slowSender];
  expect((await zc(["send", receiver.address, file, ...sending])).code).toBe(0);
  const summary = JSON.parse((await receiver.result).stdout.toString());
  expect(summary.seconds).toBeGreaterThan(0.6);
  expect(summary.zerocopy.received).toBeGreaterThan(0.5 * size);
  expect(hashOf(folder.file("out"))).toBe(hashOf(file));
});

/** From write to arrival, on a machine however busy. What waits for more waits for ever. */
const promptMs = 20_000;

test("a byte that is sent arrives, however little it is", async () => {
  const receiver = await listening(["recv", ":0", ...receiving]);
  const sender = startZc(["send", receiver.address, "-v"], { stdin: "pipe" });
  await sender.note(/connected/);
  const arrived = arrivals(receiver.child.stdout);
  for (const burst of [1, 1, 200_000, 1, 5000, 1, 4097, 300_000, 1]) {
    sender.child.stdin?.write(Buffer.alloc(burst, "x"));
    const total = await arrived.after(burst);
    expect(total).toBe(burst);
    await new Promise((later) => setTimeout(later, 20));
  }
  sender.child.stdin?.end();
  expect((await receiver.result).code).toBe(0);
});

/** Counts what comes; `after` resolves with how much came once it is enough, or it is too late. */
function arrivals(stream: NodeJS.ReadableStream | null) {
  let count = 0;
  let look = () => {};
  stream?.on("data", (data: Buffer) => {
    count += data.length;
    look();
  });
  return {
    after: (wanted: number) =>
      new Promise<number>((resolve) => {
        const done = () => {
          clearTimeout(late);
          look = () => {};
          const had = count;
          count = 0;
          resolve(had);
        };
        const late = setTimeout(done, promptMs + wanted / 10_000);
        look = () => count >= wanted && done();
        look();
      }),
  };
}

test("where mapping ends, what is left is read", async () => {
  using folder = scratch();
  const file = folder.random("in", size);
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const inject = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=getsockopt:error=ENOMEM:when=30+"];
  const args = [`127.0.0.1:${port}`, folder.file("out"), ...receiving, "--chunk", "64K", "--json"];
  const receiver = start("strace", [...inject, launcher, "recv", ...args]);
  await receiver.note(/listening/);
  const sent = await zc(["send", `127.0.0.1:${port}`, file, "--mode", "msg-zerocopy", ...pageMss]);
  const { code, stdout } = await receiver.result;
  expect({ sent: sent.code, code }).toEqual({ sent: 0, code: 0 });
  const { zerocopy } = JSON.parse(stdout.toString());
  expect(zerocopy.received).toBeGreaterThan(0);
  expect(zerocopy.received).toBeLessThan(0.9 * size);
  expect(hashOf(folder.file("out"))).toBe(hashOf(file));
});

test("--sparse is refused", async () => {
  const { code, stderr } = await zc(["recv", ":0", "/dev/null", "--sparse", ...receiving]);
  expect(stderr).toMatch(/\[USAGE\] --sparse: tcp-zerocopy does not look for zeros/);
  expect(code).toBe(2);
});
