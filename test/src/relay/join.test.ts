/** Two connections joined by a call, and copies of what passes for somebody who looks on. */
import { randomBytes } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { Connection } from "../../../src/endpoint/connection.ts";
import { type JoinOptions, join, type LiveJoin } from "../../../src/relay/join.ts";
import { pollIn, ready } from "../../../src/run-job.ts";
import { scratch } from "../../support/scratch.ts";
import { acceptHere, connectHere, halfClose, hear, howItEnds, listenHere, say } from "./ends.ts";

/** Two peers, and what join() makes of the connections between them. */
async function joined(options: JoinOptions = {}) {
  const [near, ourNear] = await connected();
  const [far, ourFar] = await connected();
  return { near, far, result: join(ourNear, ourFar, options) };
}

async function connected(): Promise<[Connection, Connection]> {
  const listener = await listenHere();
  return [await connectHere(listener.address), await acceptHere(listener)];
}

/** A pipe for a copy: what is read of it, and where it is written. */
function pipe(): { reader: number; writer: number } {
  using folder = scratch();
  expect(Bun.spawnSync(["mkfifo", folder.file("fifo")]).exitCode).toBe(0);
  const reader = openSync(folder.file("fifo"), constants.O_RDONLY | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(reader));
  return { reader, writer: openSync(folder.file("fifo"), "w") };
}

/** All that a pipe's writer wrote, until it has closed. */
async function readToEnd(reader: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(1 << 20);
  for (;;) {
    if (!(await ready(reader, pollIn, { timeoutMs: 20_000 }))) throw new Error("it never ended");
    const got = readSync(reader, buffer);
    if (got === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(buffer.subarray(0, got)));
  }
}

test("resolves with what passed, once both have ended; it can be looked at meanwhile", async () => {
  let live: LiveJoin | undefined;
  const onStart = (started: LiveJoin) => {
    live = started;
  };
  const { near, far, result } = await joined({ onStart });
  await say(near, "question");
  await hear(far, "question");
  await say(far, "answer");
  await hear(near, "answer");
  halfClose(near);
  expect(await howItEnds(far)).toBe("end");
  await expect
    .poll(() => live?.flows)
    .toMatchObject({
      forth: { bytes: 8, calls: 1, hasEnded: true },
      back: { bytes: 6, calls: 1, hasEnded: false },
    });
  halfClose(far);
  const { forth, back } = await result;
  expect([forth.bytes, back.bytes, back.hasEnded]).toEqual([8, 6, true]);
  expect(await howItEnds(near)).toBe("end");
});

test("a reset is thrown, and both are reset", async () => {
  const { near, far, result } = await joined();
  near.reset();
  await expect(result).rejects.toMatchObject({ code: "PEER_RESET", errnoName: "ECONNRESET" });
  expect(await howItEnds(far)).toBe("ECONNRESET");
});

test("a signal's reason is thrown, and both are reset", async () => {
  const stop = new AbortController();
  const { near, far, result } = await joined({ signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(result).rejects.toThrow("enough");
  expect(await howItEnds(near)).toBe("ECONNRESET");
  expect(await howItEnds(far)).toBe("ECONNRESET");
});

test("a tee has all that passes in its direction, and then an end", async () => {
  const [forth, back] = [pipe(), pipe()];
  const tee = { forth: forth.writer, back: back.writer };
  const { near, far, result } = await joined({ tee });
  const copies = Promise.all([readToEnd(forth.reader), readToEnd(back.reader)]);
  for (let count = 0; count < 100; count++) {
    await say(near, `question ${count};`);
    await hear(far, `question ${count};`);
    await say(far, `answer ${count};`);
    await hear(near, `answer ${count};`);
  }
  halfClose(near);
  halfClose(far);
  const flows = await result;
  const [questions, answers] = (await copies).map((copy) => copy.toString().split(";"));
  expect(questions).toHaveLength(101);
  expect(questions?.[99]).toBe("question 99");
  expect(answers?.[99]).toBe("answer 99");
  expect([flows.forth.missed, flows.back.missed]).toEqual([0, 0]);
});

test("a tee's end comes with its direction's, while the other goes on", async () => {
  const { reader, writer } = pipe();
  const { near, far, result } = await joined({ tee: { forth: writer } });
  await say(near, "all of it");
  halfClose(near);
  expect((await readToEnd(reader)).toString()).toBe("all of it");
  await say(far, "still here");
  expect(await hear(near, "still here")).toBe("still here");
  halfClose(far);
  await result;
});

test("a tee that is not read is given up: a beginning without gaps, and an end", async () => {
  const { reader, writer } = pipe();
  const { near, far, result } = await joined({ tee: { forth: writer } });
  const bytes = randomBytes(16 << 20);
  const [heard] = await Promise.all([hear(far, bytes), say(near, bytes)]);
  expect(heard === bytes.toString()).toBe(true);
  const copy = await readToEnd(reader);
  expect(copy.length).toBeGreaterThan(0);
  expect(copy.equals(bytes.subarray(0, copy.length))).toBe(true);
  await say(near, "and more");
  expect(await hear(far, "and more")).toBe("and more");
  halfClose(near);
  halfClose(far);
  const { forth } = await result;
  expect(forth.missed).toBe(bytes.length + 8 - copy.length);
});
