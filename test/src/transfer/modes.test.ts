/** Every mode, over every transport that this kernel has, with sizes around every boundary. */
import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { casesOf } from "../../support/nightly.ts";
import { hashOf, scratch } from "../../support/scratch.ts";
import { listening, zc } from "../../support/zc.ts";

const sizes = [0, 1, 4095, 4096, 4097, 65535, 65537, (1 << 20) - 1, (1 << 20) + 1, 17_000_009];
const transports = ["tcp:127.0.0.1:0", "tcp:[::1]:0", "unix:@zc-modes", "unix:"] as const;
const sendModes = ["auto", "copy", "sendfile", "splice", "msg-zerocopy", "io-uring"] as const;
const zerocopyModes: readonly string[] = ["msg-zerocopy", "io-uring"];
const receiveModes = ["auto", "copy", "splice", "io-uring"] as const;
/** As many bytes as a page, and TCP's timestamps: over loopback what is sent so can be mapped. */
const pageMss = ["--mss", "4108"];

const cells = transports.flatMap((transport) =>
  sendModes
    .filter((mode) => !zerocopyModes.includes(mode) || transport.startsWith("tcp"))
    .map((mode) => [transport, mode] as const),
);

test.each(cells)("%s, sent by %s, arrives whole", async (transport, mode) => {
  using folder = scratch();
  const address = transport === "unix:" ? `unix:${folder.file("socket")}` : transport;
  for (const [index, size] of sizes.entries()) {
    const file = folder.random("in", size);
    const receiveMode = receiveModes[index % receiveModes.length] ?? "auto";
    const receiver = await listening(["recv", address, folder.file("out"), "--mode", receiveMode]);
    const sent = await zc(["send", receiver.address, file, "--mode", mode, "--json"]);
    const received = await receiver.result;
    expect({ size, mode, code: sent.code, notes: sent.stderr }).toEqual({
      size,
      mode,
      code: 0,
      notes: "",
    });
    expect(received.code).toBe(0);
    expect(statSync(folder.file("out")).size).toBe(size);
    expect(hashOf(folder.file("out"))).toBe(hashOf(file));
    expect(JSON.parse(sent.stdout.toString())).toMatchObject({
      bytes: size,
      end: "closed",
    });
  }
});

test.each(["copy", "splice", ...zerocopyModes])(
  "a pipe, sent by %s, arrives whole",
  async (mode) => {
    using folder = scratch();
    const file = folder.random("in", 3_000_001);
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const cat = Bun.spawn(["cat", file], { stdout: "pipe" });
    const sender = Bun.spawn(["src/zc", "send", receiver.address, "--mode", mode, "-q"], {
      stdin: cat.stdout,
    });
    expect(await sender.exited).toBe(0);
    expect((await receiver.result).code).toBe(0);
    expect(hashOf(folder.file("out"))).toBe(hashOf(file));
  },
);

const mapped = transports
  .filter((transport) => transport.startsWith("tcp"))
  .flatMap((transport) =>
    (["copy", "msg-zerocopy", "io-uring"] as const).map((mode) => [transport, mode] as const),
  );

test.each(mapped)("%s, sent by %s, received by tcp-zerocopy, is whole", async (transport, mode) => {
  using folder = scratch();
  for (const size of sizes) {
    const file = folder.random("in", size);
    const receiving = [
      transport,
      folder.file("out"),
      "--mode",
      "tcp-zerocopy",
      "--size",
      `${size}`,
    ];
    const receiver = await listening(["recv", ...receiving, ...pageMss]);
    const sent = await zc(["send", receiver.address, file, "--mode", mode]);
    const { code, stderr } = await receiver.result;
    expect({ size, sent: sent.code, code }).toEqual({ size, sent: 0, code: 0 });
    expect(stderr).toMatch(/length verified/);
    expect(hashOf(folder.file("out"))).toBe(hashOf(file));
  }
});

test.each(["copy", "splice", "tcp-zerocopy", "io-uring"])(
  "received by %s into a pipe, it is whole",
  async (mode) => {
    using folder = scratch();
    const file = folder.random("in", 3_000_001);
    const receiver = await listening(["recv", ":0", "--mode", mode, ...pageMss]);
    expect((await zc(["send", receiver.address, file, "--mode", "msg-zerocopy"])).code).toBe(0);
    const { code, stdout } = await receiver.result;
    expect(code).toBe(0);
    expect(Bun.hash.xxHash3(stdout)).toBe(Bun.hash.xxHash3(await Bun.file(file).bytes()));
  },
);

const fourGibModes = casesOf(["sendfile", "splice", ...zerocopyModes], ["sendfile", "io-uring"]);

test.each(fourGibModes)("%s goes past 4 GiB", async (mode) => {
  using folder = scratch();
  const size = 4 * 2 ** 30 + 12_345;
  const file = folder.file("sparse");
  expect(Bun.spawnSync(["truncate", "-s", `${size}`, file]).exitCode).toBe(0);
  const receiver = await listening(["recv", ":0", "/dev/null", "--size", `${size}`, "--json"]);
  expect((await zc(["send", receiver.address, file, "--mode", mode])).code).toBe(0);
  const { code, stdout } = await receiver.result;
  expect(code).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({
    bytes: size,
    end: "verified",
  });
});

test.each(zerocopyModes)("%s over unix sockets is exit 3, and says why", async (mode) => {
  using folder = scratch();
  const receiver = await listening(["recv", `unix:${folder.file("socket")}`, folder.file("out")]);
  const sent = await zc(["send", receiver.address, folder.random("in", 10), "--mode", mode]);
  expect(sent.code).toBe(3);
  expect(sent.stderr).toMatch(
    /^zc: \[UNSUPPORTED\] .*(msg-zerocopy|io-uring).*EOPNOTSUPP.*--mode auto/,
  );
  await receiver.result;
});

test("tcp-zerocopy over unix sockets is exit 3, and says why", async () => {
  using folder = scratch();
  const socket = `unix:${folder.file("socket")}`;
  const receiver = await listening(["recv", socket, "--mode", "tcp-zerocopy", folder.file("out")]);
  await zc(["send", receiver.address, folder.random("in", 10)]);
  const { code, stderr } = await receiver.result;
  expect(stderr).toMatch(/zc: \[UNSUPPORTED\] .*tcp-zerocopy.*EOPNOTSUPP.*--mode auto/);
  expect(code).toBe(3);
});

test("only the rest of an open file is sent", async () => {
  using folder = scratch();
  const file = folder.random("in", 100_000);
  const receiver = await listening(["recv", ":0", folder.file("out")]);
  const command = `(head -c 1000 >/dev/null; exec src/zc send -q ${receiver.address}) <${file}`;
  expect(Bun.spawnSync(["sh", "-c", command]).exitCode).toBe(0);
  await receiver.result;
  const rest = (await Bun.file(file).bytes()).subarray(1000);
  expect(Bun.hash.xxHash3(await Bun.file(folder.file("out")).bytes())).toBe(Bun.hash.xxHash3(rest));
});

test("to /dev/null TCP's bytes are dropped in the socket, and counted", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", "/dev/null", "--json"]);
  expect((await zc(["send", receiver.address, folder.random("in", 3_000_001)])).code).toBe(0);
  const { code, stdout } = await receiver.result;
  expect(code).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({ bytes: 3_000_001, mode: "discard" });
});

test.each([
  ["discard", "tcp:127.0.0.1:0", "out"],
  ["discard", "unix:@zc-refused", "null"],
  ["zcrx", "unix:@zc-refused", "null"],
])("received by %s from %s into %s is exit 3", async (mode, address, to) => {
  using folder = scratch();
  const out = to === "null" ? "/dev/null" : folder.file(to);
  const receiver = await listening(["recv", address, out, "--mode", mode]);
  await zc(["send", receiver.address, folder.random("in", 10)]);
  const { code, stderr } = await receiver.result;
  expect(stderr).toMatch(new RegExp(`\\[UNSUPPORTED\\] move by ${mode}`));
  expect(code).toBe(3);
});
