/** Where received bytes go, and what is left when they do not all come. */
import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { expect, test } from "vitest";
import { hashOf, scratch } from "../../support/scratch.ts";
import { listening, startZc, zc } from "../../support/zc.ts";

test("a file appears under its name only when it is whole", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out")]);
  const sender = startZc(["send", receiver.address], { stdin: "pipe" });
  sender.child.stdin?.write("first half,");
  await receiver.note(/listening/);
  expect(readdirSync(folder.path).filter((name) => name === "out")).toEqual([]);
  sender.child.stdin?.end(" second half");
  await Promise.all([sender.result, receiver.result]);
  expect(readdirSync(folder.path)).toEqual(["out"]);
  expect(readFileSync(folder.file("out"), "utf8")).toBe("first half, second half");
});

test("an interrupted transfer leaves the old file as it was, and nothing else", async () => {
  using folder = scratch();
  writeFileSync(folder.file("out"), "old");
  const receiver = await listening(["recv", ":0", folder.file("out"), "-v"]);
  const sender = startZc(["send", receiver.address, "/dev/zero", "--rate", "10M"]);
  await receiver.note(/connected/);
  receiver.child.kill("SIGTERM");
  expect((await receiver.result).code).toBe(143);
  expect((await sender.result).code).toBe(1);
  expect(readdirSync(folder.path)).toEqual(["out"]);
  expect(readFileSync(folder.file("out"), "utf8")).toBe("old");
});

test("a file that is replaced keeps its mode; a new one has the umask's", async () => {
  using folder = scratch();
  writeFileSync(folder.file("out"), "old");
  chmodSync(folder.file("out"), 0o640);
  for (const name of ["out", "new"]) {
    const receiver = await listening(["recv", ":0", folder.file(name)]);
    await zc(["send", receiver.address, "/dev/null"]);
    expect((await receiver.result).code).toBe(0);
  }
  expect(statSync(folder.file("out")).mode & 0o777).toBe(0o640);
  expect(statSync(folder.file("new")).mode & 0o777).toBe(0o666 & ~process.umask());
});

test("a symbolic link stays, and what it points to is replaced", async () => {
  using folder = scratch();
  writeFileSync(folder.file("real"), "old");
  symlinkSync("real", folder.file("link"));
  const receiver = await listening(["recv", ":0", folder.file("link")]);
  await zc(["send", receiver.address, folder.random("in", 100)]);
  expect((await receiver.result).code).toBe(0);
  expect(lstatSync(folder.file("link")).isSymbolicLink()).toBe(true);
  expect(hashOf(folder.file("real"))).toBe(hashOf(folder.file("in")));
});

test("--no-clobber refuses a name that exists, before and after the transfer", async () => {
  using folder = scratch();
  const early = startZc(["recv", ":0", folder.random("there", 3), "--no-clobber"]);
  expect(await early.result).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^zc: \[WRITE_SINK\].*EEXIST/),
  });

  const late = await listening(["recv", ":0", folder.file("out"), "--no-clobber"]);
  writeFileSync(folder.file("out"), "somebody was faster");
  await zc(["send", late.address, "/dev/null"]);
  expect((await late.result).code).toBe(1);
  expect(readFileSync(folder.file("out"), "utf8")).toBe("somebody was faster");
  expect(readdirSync(folder.path).sort()).toEqual(["out", "there"]);
});

test("--sparse leaves holes for zeros, and the content as it was", async () => {
  using folder = scratch();
  const content = new Uint8Array(4 << 20);
  content.set(crypto.getRandomValues(new Uint8Array(10_000)), 1_000_003);
  writeFileSync(folder.file("in"), content);
  const receiver = await listening(["recv", ":0", folder.file("out"), "--sparse", "--json"]);
  await zc(["send", receiver.address, folder.file("in")]);
  const { code, stdout } = await receiver.result;
  expect(code).toBe(0);
  expect(hashOf(folder.file("out"))).toBe(hashOf(folder.file("in")));
  expect(statSync(folder.file("out")).blocks * 512).toBeLessThan(64 << 10);
  expect(JSON.parse(stdout.toString()).holes).toBeGreaterThan(4_000_000);
});

test("--sparse of nothing but zeros is a file of that length", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out"), "--sparse"]);
  await zc(["send", receiver.address, "/dev/zero", "--bytes", "5000001"]);
  expect((await receiver.result).code).toBe(0);
  expect(statSync(folder.file("out"))).toMatchObject({ size: 5_000_001, blocks: 0 });
});

test("--fsync writes the same file", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out"), "--fsync"]);
  await zc(["send", receiver.address, folder.random("in", 100_000)]);
  expect((await receiver.result).code).toBe(0);
  expect(hashOf(folder.file("out"))).toBe(hashOf(folder.file("in")));
});

test("--keep-open serves one after another; a broken one ends alone", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", ":0", folder.file("out"), "--keep-open"]);
  await zc(["send", receiver.address, folder.random("first", 100_000)]);
  await receiver.note(/received 97\.7 KiB/);
  expect(hashOf(folder.file("out"))).toBe(hashOf(folder.file("first")));

  await zc(["send", receiver.address, "/proc/self/mem"]);
  await receiver.note(/\[PEER_RESET\]/);
  expect(hashOf(folder.file("out"))).toBe(hashOf(folder.file("first")));

  await zc(["send", receiver.address, folder.random("third", 200_000)]);
  await receiver.note(/received 195\.3 KiB/);
  expect(hashOf(folder.file("out"))).toBe(hashOf(folder.file("third")));
  receiver.child.kill("SIGINT");
  expect((await receiver.result).code).toBe(130);
  expect(readdirSync(folder.path).sort()).toEqual(["first", "out", "third"]);
});

test("a folder that does not exist is one clear line", async () => {
  const { code, stderr } = await zc(["recv", ":0", "/nowhere/out"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^zc: \[WRITE_SINK\] open \/nowhere\/out: ENOENT.*\n$/);
});
