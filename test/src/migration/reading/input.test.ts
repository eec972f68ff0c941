/** What is read ahead: in order, in one piece, to the end. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { library } from "../../../../ffi/library.ts";
import { Input } from "../../../../src/migration/reading/input.ts";
import { hashOf, type Scratch, scratch } from "../../../support/scratch.ts";

let folder: Scratch;
beforeAll(() => {
  folder = scratch();
});
afterAll(() => folder[Symbol.dispose]());

test.each([0, 1, 4 << 20, (9 << 20) + 5])("a file of %i bytes", async (size) => {
  const path = folder.random("file", size);
  const fd = openSync(path, "r");
  const hash = new Bun.CryptoHasher("sha256");
  {
    await using input = new Input(fd, path);
    for (let step = 1; ; step = (step * 7) % 300_007) {
      const some = input.window.subarray(0, step);
      hash.update(some);
      input.release(some.length);
      if (input.window.length === 0 && input.hasEnded) break;
      if (input.window.length === 0) await input.more();
    }
  }
  closeSync(fd);
  expect(hash.digest("hex")).toBe(hashOf(path));
});

test("no more than a ring is read until some is released", async () => {
  const path = folder.random("long", 6 << 20);
  const fd = openSync(path, "r");
  {
    await using input = new Input(fd, path);
    while (input.window.length < 4 << 20) await input.more();
    expect(input.hasEnded).toBe(false);
    input.release(1 << 20);
    while (input.window.length < 4 << 20) await input.more();
    input.release(4 << 20);
    while (!input.hasEnded) await input.more();
    expect(input.window.length).toBe(1 << 20);
  }
  closeSync(fd);
});

test("what cannot be read", async () => {
  const fd = openSync("/", "r");
  {
    await using input = new Input(fd, "/");
    await expect(input.more()).rejects.toThrow("read /: EISDIR (is a directory)");
  }
  closeSync(fd);
});

test("where no thread can be had, the ring is given back", () => {
  using _failing = vi.spyOn(library(), "zc_reader_start").mockReturnValue(-11n);
  expect(() => new Input(0, "a file")).toThrow("read a file: EAGAIN");
  expect(readFileSync("/proc/self/maps", "utf8")).not.toContain("zc-ring");
});

test("one that waits is let go", async () => {
  const path = folder.file("pipe");
  Bun.spawnSync(["mkfifo", path]);
  const fd = openSync(path, "r+");
  {
    await using input = new Input(fd, "a pipe");
    expect(input.window.length).toBe(0);
  }
  closeSync(fd);
});
