/** SIGINT and SIGTERM end a transfer, whatever it waits for, and leave nothing behind. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { withPeer } from "../support/peer.ts";
import { scratch } from "../support/scratch.ts";
import { listening, type Running, startZc } from "../support/zc.ts";

async function endedBy(running: Running, signal: "SIGINT" | "SIGTERM", code: number) {
  running.child.kill(signal);
  expect(await running.result).toMatchObject({ code });
  expect(running.notes()).not.toMatch(/\[/); // a signal is no error
}

test("while it listens", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", `unix:${folder.file("socket")}`, folder.file("out")]);
  await endedBy(receiver, "SIGINT", 130);
  expect(readdirSync(folder.path)).toEqual([]);
});

test("while it retries to connect", async () => {
  const sender = startZc(["send", "unix:@zc-nobody", "/dev/null", "--retry", "60s"]);
  sender.child.stdout?.resume();
  // Nothing is said meanwhile: the child's first sign of life is its signal handler.
  await handlerInstalled(sender);
  await endedBy(sender, "SIGTERM", 143);
});

test("while it waits for its input", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const sender = startZc(["send", receiver.address, "-v"], { stdin: "pipe" });
  await sender.note(/connected/);
  await endedBy(sender, "SIGINT", 130);
  expect((await receiver.result).code).toBe(1);
});

test.each(["copy", "splice", "msg-zerocopy"])(
  "while the peer does not read, by %s",
  async (mode) => {
    await withPeer("never-read", async (address) => {
      const sender = startZc(["send", address, "/dev/zero", "--mode", mode, "-v"]);
      await sender.note(/connected/);
      await endedBy(sender, "SIGINT", 130);
    });
  },
);

test.each(["copy", "splice"])("while the sender says nothing, received by %s", async (mode) => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out"), "--mode", mode, "-v"]);
  const sender = startZc(["send", receiver.address], { stdin: "pipe" });
  await receiver.note(/connected/);
  await endedBy(receiver, "SIGTERM", 143);
  expect(readdirSync(folder.path)).toEqual([]);
  expect((await sender.result).code).toBe(1);
});

test("while nobody reads its output", async () => {
  const receiver = startZc(["recv", ":0", "-v"]);
  receiver.child.stdout?.pause();
  const [, address = ""] = await receiver.note(/listening on (\S+)/);
  const sender = startZc(["send", address, "/dev/zero"]);
  await receiver.note(/connected/);
  receiver.child.kill("SIGINT");
  receiver.child.stdout?.resume();
  expect(await receiver.result).toMatchObject({ code: 130 });
  expect((await sender.result).code).toBe(1);
});

test("while the rate makes it wait", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const sender = startZc(["send", receiver.address, "/dev/zero", "--rate", "1", "-v"]);
  await sender.note(/connected/);
  await endedBy(sender, "SIGINT", 130);
  expect((await receiver.result).code).toBe(1);
});

/** SigCgt of proc(5) has SIGTERM's bit once Bun catches it. */
async function handlerInstalled({ child }: Running): Promise<void> {
  const caught = async () => {
    const status = await Bun.file(`/proc/${child.pid}/status`).text();
    const mask = BigInt(`0x${/^SigCgt:\s+(\w+)/m.exec(status)?.[1] ?? "0"}`);
    return ((mask >> 14n) & 1n) === 1n;
  };
  while (!(await caught())) await new Promise(setImmediate);
}
