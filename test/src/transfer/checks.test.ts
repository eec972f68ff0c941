/** --size, --expect and --checksum: what must arrive, and what did. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Scratch, scratch } from "../../support/scratch.ts";
import { listening, startZc, zc } from "../../support/zc.ts";

const size = 100_000;

async function transfer(folder: Scratch, ...options: string[]) {
  const receiver = await listening(["recv", ":0", folder.file("out"), ...options]);
  const sent = await zc(["send", receiver.address, folder.random("in", size)]);
  return { sent, received: await receiver.result };
}

describe.each(["auto", "io-uring"])("received by %s", (mode) => {
  test("--size: exactly that much is success", async () => {
    using folder = scratch();
    const { received } = await transfer(folder, "--mode", mode, "--size", `${size}`, "--json");
    expect(received.code).toBe(0);
    expect(JSON.parse(received.stdout.toString())).toMatchObject({ end: "verified", bytes: size });
  });

  test.each([size + 1, size - 1, 0])(
    "--size %i: less or more is exit 4, and no file",
    async (wrong) => {
      using folder = scratch();
      const { received } = await transfer(folder, "--mode", mode, "--size", `${wrong}`);
      expect(received.code).toBe(4);
      expect(received.stderr).toMatch(/\[TRUNCATED\]/);
      expect(existsSync(folder.file("out"))).toBe(false);
    },
  );

  test("--size: a sender that never closes is not waited for", async () => {
    using folder = scratch();
    const receiver = await listening([
      "recv",
      "--mode",
      mode,
      ":0",
      folder.file("out"),
      "--size",
      "5",
    ]);
    const sender = startZc(["send", receiver.address], { stdin: "pipe" });
    sender.child.stdin?.write("hello");
    expect((await receiver.result).code).toBe(0);
    expect(readFileSync(folder.file("out"), "utf8")).toBe("hello");
    sender.child.kill("SIGKILL");
  });

  test("--bytes stops there", async () => {
    const receiver = await listening(["recv", "--mode", mode, ":0", "--bytes", "1000"]);
    const sender = startZc(["send", receiver.address, "/dev/zero"]);
    const { code, stdout } = await receiver.result;
    expect(code).toBe(0);
    expect(stdout.length).toBe(1000);
    expect((await sender.result).code).toBe(1);
  });
});

test("without either, the length is unverified, which is said", async () => {
  using folder = scratch();
  const { received } = await transfer(folder);
  expect(received.code).toBe(0);
  expect(received.stderr).toMatch(/length unverified/);
});

test.each(["xxh3", "sha256"])(
  "--expect %s: the right one is success, another exit 4",
  async (kind) => {
    using folder = scratch();
    const file = folder.random("in", size);
    const right = kind === "sha256" ? sha256(file) : xxh3(file);
    for (const [hex, code, mode] of [
      [right, 0, "auto"],
      [right.toUpperCase(), 0, "io-uring"],
      [flipped(right), 4, "auto"],
      [flipped(right), 4, "io-uring"],
    ] as const) {
      const receiver = await listening([
        "recv",
        "--mode",
        mode,
        ":0",
        folder.file("out"),
        "--expect",
        `${kind}:${hex}`,
      ]);
      await zc(["send", receiver.address, file]);
      const received = await receiver.result;
      expect(received.code).toBe(code);
      if (code !== 0) expect(received.stderr).toMatch(/\[CHECKSUM\]/);
    }
  },
);

test.each(["copy", "sendfile", "msg-zerocopy", "io-uring"])(
  "--checksum, sent by %s: the content's",
  async (mode) => {
    using folder = scratch();
    const file = folder.random("in", 5_000_001);
    const receiver = await listening(["recv", ":0", folder.file("out"), "--checksum"]);
    const sent = await zc(["send", receiver.address, file, "--checksum", "--mode", mode]);
    const received = await receiver.result;
    expect(sent.stdout.toString()).toBe(`xxh3:${xxh3(file)}\n`);
    expect(received.stdout.toString()).toBe(`xxh3:${xxh3(file)}\n`);
  },
);

test("--bytes ends both sides there, and the checksum is of that much", async () => {
  using folder = scratch();
  const file = folder.random("in", size);
  for (const mode of ["copy", "sendfile", "msg-zerocopy", "io-uring"]) {
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const options = ["--bytes", "70001", "--checksum", "--mode", mode];
    const sent = await zc(["send", receiver.address, file, ...options]);
    expect((await receiver.result).code).toBe(0);
    const part = readFileSync(file).subarray(0, 70_001);
    expect(Buffer.compare(readFileSync(folder.file("out")), part)).toBe(0);
    expect(sent.stdout.toString()).toBe(`xxh3:${hex64(Bun.hash.xxHash3(part))}\n`);
  }
});

test("--checksum with splice is refused: nobody sees the bytes", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out")]);
  const options = ["--checksum", "--mode", "splice"];
  const sent = await zc(["send", receiver.address, folder.random("in", size), ...options]);
  expect(sent.code).toBe(3);
  await receiver.result;
});

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function xxh3(file: string): string {
  return hex64(Bun.hash.xxHash3(readFileSync(file)));
}

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

function flipped(hex: string): string {
  return (hex.startsWith("0") ? "1" : "0") + hex.slice(1);
}
