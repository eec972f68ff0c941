import { execFileSync } from "node:child_process";
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { Results } from "../../src/results.ts";
import { scratch } from "../support/scratch.ts";
import { socketPair } from "./vfio-user/pair.ts";

const { O_RDWR, O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
/** Bytes; more than a pipe holds. */
const much = 1 << 20;

function pipe() {
  const folder = scratch();
  const path = folder.file("pipe");
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, O_RDWR);
  onTestFinished(() => {
    closeSync(fd);
    folder[Symbol.dispose]();
  });
  return { path, fd };
}

/** Reads so much, as it comes. */
async function take(fd: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; await new Promise(setImmediate))
    try {
      at += readSync(fd, bytes, at, size - at, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  return bytes;
}

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${index}`.padEnd(99));
}

test("what a pipe has no room for waits, and comes in its order", async () => {
  const { path, fd } = pipe();
  const results = new Results(fd, new AbortController().signal);
  const all = lines(much / 100);
  for (const line of all) results.print(line);
  expect(results.room()).toBeUndefined();
  const reader = openSync(path, O_RDONLY | O_NONBLOCK);
  const taken = take(reader, all.length * 100);
  await results.end();
  expect((await taken).toString()).toBe(all.map((line) => `${line}\n`).join(""));
  closeSync(reader);
});

test("a socket has it all too", async () => {
  const [near, far] = socketPair();
  const results = new Results(near.fd, new AbortController().signal);
  const all = lines(much / 100);
  for (const line of all) results.print(line);
  const taken = take(far.fd, all.length * 100);
  await results.end();
  expect((await taken).toString()).toBe(all.map((line) => `${line}\n`).join(""));
  near.close();
  far.close();
});

test("a file has it all, behind what was there", async () => {
  using folder = scratch();
  const fd = openSync(folder.file("out"), O_WRONLY | constants.O_CREAT);
  const results = new Results(fd, new AbortController().signal);
  results.write(new Uint8Array(much));
  results.print("end");
  await results.end();
  expect(fstatSync(fd).size).toBe(much + 4);
  expect(readFileSync(folder.file("out")).toString("utf8", much)).toBe("end\n");
  closeSync(fd);
});

test("there is room again once enough was read; and none after an interrupt, which ends it", async () => {
  const { path, fd } = pipe();
  const interrupt = new AbortController();
  const results = new Results(fd, interrupt.signal);
  results.write(new Uint8Array(much));
  results.write(new Uint8Array(16 * much));
  const room = results.room();
  expect(room).toBeInstanceOf(Promise);
  const reader = openSync(path, O_RDONLY | O_NONBLOCK);
  await take(reader, much);
  await room;
  expect(results.room()).toBeUndefined();
  results.write(new Uint8Array(2 * much));
  const none = expect(results.room()).rejects.toThrow("enough");
  interrupt.abort(new Error("enough"));
  await none;
  await expect(results.end()).rejects.toThrow("enough");
  closeSync(reader);
});

test("what cannot be written ends it", async () => {
  const fd = openSync("/dev/full", O_WRONLY);
  const results = new Results(fd, new AbortController().signal);
  results.print("one");
  await expect(results.end()).rejects.toMatchObject({ code: "WRITE_SINK", errnoName: "ENOSPC" });
  expect(results.signal.reason).toMatchObject({ code: "WRITE_SINK" });
  closeSync(fd);
});
