/** Sends without copies where memory is short, and modes where a sandbox refuses system calls. */
import { closeSync, copyFileSync, openSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { libraryPath } from "../../../ffi/compile.ts";
import { hashOf, scratch } from "../../support/scratch.ts";
import { launcher, listening, start, startZc } from "../../support/zc.ts";

const isRoot = process.getuid?.() === 0;
/** Another user cannot read root's cache. */
const library = `/dev/shm/zc-test-library-${process.pid}.so`;

beforeAll(() => copyFileSync(libraryPath(), library));
afterAll(() => rmSync(library));

/** Sends FILE as nobody: RLIMIT_MEMLOCK counts for those without CAP_IPC_LOCK. */
async function sendLimited(kilobytes: number, args: readonly string[], file: string) {
  const stdin = openSync(file, "r");
  const sender = [launcher, "send", ...args];
  const limited = ["sh", "-c", `ulimit -l ${kilobytes}; exec "$@"`, "sh", ...sender];
  const command = ["--reuid=65534", "--clear-groups", ...limited];
  const result = await start("setpriv", command, { stdin, env: { ZC_LIBRARY: library } }).result;
  closeSync(stdin);
  return result;
}

async function sendUnprivileged(address: string, file: string, mode: string, chunk: string) {
  const args = [address, "--json", "--mode", mode, "--chunk", chunk];
  const { code, stdout, stderr } = await sendLimited(64, args, file);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout.toString()).zerocopy;
}

describe.each(["msg-zerocopy", "io-uring"])("%s", (mode) => {
  test.skipIf(!isRoot)("sends that fit locked memory wait for completions, and go on", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const file = folder.random("in", 20_000_001);
    const zerocopy = await sendUnprivileged(receiver.address, file, mode, "16K");
    expect(zerocopy.retries).toBeGreaterThan(0);
    expect(zerocopy.completions).toBe(zerocopy.sends);
    await receiver.result;
    expect(hashOf(folder.file("out"))).toBe(hashOf(file));
  });

  test.skipIf(!isRoot)("sends that do not fit become smaller", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const file = folder.random("in", 20_000_001);
    const zerocopy = await sendUnprivileged(receiver.address, file, mode, "1M");
    expect(zerocopy.sends).toBeGreaterThan(300); // 64 KiB of locked memory: less than that each
    expect(zerocopy.fallbacks).toBe(0);
    await receiver.result;
    expect(hashOf(folder.file("out"))).toBe(hashOf(file));
  });

  test.skipIf(!isRoot)("where not even a small send fits, the limit is named", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const { code, stderr } = await sendLimited(
      4,
      [receiver.address, "--mode", mode],
      folder.random("in", 1_000_001),
    );
    expect(stderr).toMatch(/^zc: \[UNSUPPORTED\] .*ENOBUFS.*RLIMIT_MEMLOCK.*ulimit -l 65536\n$/);
    expect(code).toBe(3);
    expect((await receiver.result).code).toBe(1);
  });
});

test.skipIf(!isRoot).each([
  [2000, 0, /^$/],
  [500, 3, /ENOBUFS.*option memory \(net\.core\.optmem_max, 500 B\).*optmem_max=131072\n$/],
])("with %i bytes of option memory: exit %i", async (bytes, expected, stderr) => {
  using folder = scratch();
  const file = folder.random("in", 5_000_001);
  const address = "127.0.0.1:5000"; // in a network of its own
  const command = `
    ip link set lo up; echo ${bytes} >/proc/sys/net/core/optmem_max
    ${launcher} recv -q ${address} ${folder.file("out")} 2>/dev/null & receiver=$!
    ${launcher} send -q --retry 10s --mode msg-zerocopy ${address} ${file}; code=$?
    wait $receiver; exit $code`;
  const result = await start("unshare", ["-n", "sh", "-c", command]).result;
  expect(result.stderr).toMatch(stderr);
  expect(result.code).toBe(expected);
});

test.each([
  ["sendfile", "EPERM"],
  ["sendfile", "ENOSYS"],
  ["splice", "EPERM"],
  ["splice", "EINVAL"],
])("%s refused with %s before the first byte: the next mode takes over", async (call, error) => {
  using folder = scratch();
  const file = folder.random("in", 5_000_001);
  const receiver = await listening(["recv", ":0", folder.file("out")]);
  const source = call === "sendfile" ? file : "/dev/stdin";
  const inject = ["-f", "-qq", "-o", "/dev/null", "-e", `inject=${call}:error=${error}`];
  const zc = `${launcher} send -v ${receiver.address} ${call === "sendfile" ? source : ""}`;
  const command = `cat ${file} | strace ${inject.join(" ")} ${zc}`;
  const { code, stderr } = await start("sh", ["-c", command]).result;
  expect(stderr).toMatch(new RegExp(`${call}: refused, ${error}`));
  expect(code).toBe(0);
  await receiver.result;
  expect(hashOf(folder.file("out"))).toBe(hashOf(file));
});

test.each([
  ["send", "EPERM"],
  ["recv", "ENOSYS"],
])("%s by io-uring where it is refused with %s is exit 3, with the reason", async (end, error) => {
  using folder = scratch();
  const address = `unix:${folder.file("socket")}`;
  const file = folder.random("in", 100_001);
  const inject = ["-f", "-qq", "-o", "/dev/null", "-e", `inject=io_uring_setup:error=${error}`];
  const ends = { send: ["send", file], recv: ["recv", folder.file("out")] };
  const [other, otherFile = ""] = end === "send" ? ends.recv : ends.send;
  const peer = startZc([other ?? "", "--retry", "60s", address, otherFile]);
  const [command = "", ...rest] = end === "send" ? ends.send : ends.recv;
  const args = [...inject, launcher, command, "--retry", "60s", "--mode", "io-uring", address];
  const { code, stderr } = await start("strace", [...args, ...rest]).result;
  expect(code).toBe(3);
  expect(stderr).toMatch(new RegExp(`\\[UNSUPPORTED\\] move by io-uring.*${error}.*--mode auto`));
  await peer.result;
});

test("refused after the first byte, it is an error, not another mode", async () => {
  using folder = scratch();
  const file = folder.random("in", 5_000_001);
  const receiver = await listening(["recv", ":0", folder.file("out")]);
  const inject = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=sendfile:error=EPERM:when=3+"];
  const { code, stderr } = await start("strace", [
    ...inject,
    launcher,
    "send",
    receiver.address,
    file,
  ]).result;
  expect(code).toBe(1);
  expect(stderr).toMatch(/\[READ_SOURCE\].*EPERM/);
  expect((await receiver.result).code).toBe(1);
});
