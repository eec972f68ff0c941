/** Channels where locked memory is short, and where a sandbox refuses io_uring. */
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { libraryPath } from "../../../ffi/compile.ts";
import { listening, root, start } from "../../support/zc.ts";

const isRoot = process.getuid?.() === 0;
/** Another user cannot read root's cache. */
const library = `/dev/shm/zc-test-channel-library-${process.pid}.so`;
const bun = process.execPath;
const pattern = join(root, "test", "lab", "pattern.ts");
/** 8 MB, through 8 buffers of 64 KiB. */
const pages = 2048;

beforeAll(() => copyFileSync(libraryPath(), library));
afterAll(() => rmSync(library));

/** What is locked is counted for all of a user's processes, and for a while after their end. */
let user = 100_000 + process.pid * 10;

/** A channel of a user's own: RLIMIT_MEMLOCK counts for those without CAP_IPC_LOCK. */
async function sendLimited(kilobytes: number, mode: string) {
  const receiver = await listening(["recv", ":0"]);
  const checker = start(bun, [pattern, "check"], { stdin: "pipe" });
  receiver.child.stdout?.pipe(checker.child.stdin ?? expect.fail());
  const sender = [bun, pattern, "send", mode, receiver.address, `${pages}`];
  const limited = ["sh", "-c", `ulimit -l ${kilobytes}; exec "$@"`, "sh", ...sender];
  const command = [`--reuid=${user++}`, "--clear-groups", ...limited];
  const sent = await start("setpriv", command, { env: { ZC_LIBRARY: library } }).result;
  await receiver.result;
  const verdict = (await checker.result).stdout.toString();
  return { ...sent, verdict };
}

describe.each(["msg-zerocopy", "io-uring"])("%s", (mode) => {
  test.skipIf(!isRoot).each([
    [200, "wait for completions", pages / 16],
    [64, "become smaller, too", pages / 16 + 1],
  ])("in %i KiB of locked memory sends %s", async (kilobytes, _, sends) => {
    const { code, stdout, stderr, verdict } = await sendLimited(kilobytes, mode);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const counters = JSON.parse(stdout.toString());
    expect(counters.retries).toBeGreaterThan(0);
    expect(counters.sends).toBeGreaterThanOrEqual(sends);
    expect(counters).toMatchObject({ completions: counters.sends, fallbacks: 0 });
    expect(verdict).toBe(`${pages} pages\n`);
  });

  test.skipIf(!isRoot)("where not even a small send fits, the limit is named", async () => {
    const { code, stderr } = await sendLimited(4, mode);
    expect(stderr).toMatch(/^zc: \[UNSUPPORTED\] .*RLIMIT_MEMLOCK.*ulimit -l 65536/);
    expect(code).toBe(3);
  });
});

test.each([
  ["EPERM", /lets nobody use io_uring \(EPERM\)/],
  ["ENOSYS", /lets nobody use io_uring \(ENOSYS\)/],
])("io_uring refused with %s: UNSUPPORTED by name", async (error, stderr) => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const inject = ["-f", "-qq", "-o", "/dev/null", "-e", `inject=io_uring_setup:error=${error}`];
  const sender = [bun, pattern, "send", "io-uring", receiver.address, "16"];
  const result = await start("strace", [...inject, ...sender]).result;
  expect(result.stderr).toMatch(stderr);
  expect(result.code).toBe(3);
  await receiver.result;
});
