/** liburing's own example of SEND_ZC as the other end: its pattern is 'a' + i % 26 over the stream. */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { scratch } from "../support/scratch.ts";
import { isCi } from "./installed.ts";
import { freePort, untilListening } from "./listening.ts";
import { failure, own, ownZc } from "./own.ts";

const { status, stdout } = spawnSync(join(import.meta.dirname, "fetch-liburing"), {
  encoding: "utf8",
});
const example = stdout.trim();

describe.skipIf(status !== 0 && !isCi)("liburing's send-zerocopy", () => {
  beforeAll(() => expect(status).toBe(0));

  test.each(["auto", "copy", "io-uring"])("sends, and zc receives by %s", async (mode) => {
    using folder = scratch();
    const out = folder.file("out");
    const port = `${await freePort()}`;
    const address = `tcp:127.0.0.1:${port}`;
    const receiver = ownZc(["recv", "--mode", mode, address, out]);
    await untilListening(receiver, address);
    const zeroCopy = ["-n", "1", "-z", "1", "-b", "1", "-v", "-t", "0"];
    const sender = own(example, ["-4", "-D", "127.0.0.1", "-p", port, ...zeroCopy, "tcp"]);
    expect(failure(await sender.result)).toBe("");
    expect(failure(await receiver.result)).toBe("");
    const size = statSync(out).size;
    expect(size).toBeGreaterThan(0);
    expect(readFileSync(out).equals(pattern(size))).toBe(true);
  });

  test.each(["io-uring", "msg-zerocopy"])("receives what zc sends by %s", async (mode) => {
    using folder = scratch();
    const file = folder.file("in");
    const size = 8 << 20;
    writeFileSync(file, pattern(size));
    const port = `${await freePort()}`;
    const options = ["-R", "-4", "-D", "127.0.0.1", "-p", port, "-t", "20", "tcp"];
    const receiver = own(example, options);
    const sender = ownZc(["send", "--retry", "10s", "--mode", mode, `127.0.0.1:${port}`, file]);
    expect(failure(await sender.result)).toBe("");
    expect(failure(await receiver.result)).toBe("");
  });
});

function pattern(size: number): Buffer {
  return Buffer.alloc(size, "abcdefghijklmnopqrstuvwxyz");
}
