/** zc between other programs in a shell's pipes. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "../support/scratch.ts";
import { launcher } from "../support/zc.ts";
import { freePort, untilListening } from "./listening.ts";
import { difference, failure, own, ownScript, ownZc, stillRuns } from "./own.ts";

test.each(["tcp", "unix"])("tar, zc, zc, tar, over %s: the same tree", async (transport) => {
  using folder = scratch();
  const [tree, copy] = [folder.file("tree"), folder.file("copy")];
  makeTree(tree);
  folder.random("tree/large", 64 << 20);
  mkdirSync(copy);
  const address =
    transport === "unix" ? `unix:${folder.file("socket")}` : `tcp:127.0.0.1:${await freePort()}`;

  const receiver = ownScript('set -o pipefail; "$1" recv "$2" | tar x -C "$3"', [
    ...[launcher, address, copy],
  ]);
  await untilListening(receiver, address);
  const sender = ownScript('set -o pipefail; tar c -C "$3" . | "$1" send "$2"', [
    ...[launcher, address, tree],
  ]);

  expect(failure(await sender.result)).toBe("");
  expect(failure(await receiver.result)).toBe("");
  const compared = await own("diff", ["-r", tree, copy]).result;
  expect(compared.stdout.toString()).toBe("");
  expect(compared).toMatchObject({ code: 0, stderr: "" });
});

/** A few hundred small files, their contents their names. */
function makeTree(path: string): void {
  for (let folder = 0; folder < 20; folder += 1) {
    const name = join(path, `folder-${folder}`);
    mkdirSync(name, { recursive: true });
    for (let file = 0; file < 20; file += 1)
      writeFileSync(join(name, `${file}`), `${folder}/${file}\n`.repeat(file * 50));
  }
}

test("zc recv | head ends quietly, and its sender is told", async () => {
  using folder = scratch();
  const source = folder.random("in", 64 << 20);
  const address = `unix:${folder.file("socket")}`;

  const receiver = ownScript('set -o pipefail; "$1" recv -q "$2" | head -c 100', [
    ...[launcher, address],
  ]);
  await untilListening(receiver, address);
  const sender = ownZc(["send", address, source]);

  const { code, stdout, stderr } = await receiver.result;
  expect(code).toBe(128 + constants.signals.SIGPIPE);
  expect(stderr).toBe("");
  expect(stdout.equals(readFileSync(source).subarray(0, 100))).toBe(true);
  const sent = await sender.result;
  expect(sent.code).toBe(1);
  expect(sent.stderr).toMatch(/\[PEER_RESET\]/);
});

test("a reader that ends with the last byte, before the sender does, is no failure", async () => {
  using folder = scratch();
  const address = `unix:${folder.file("socket")}`;
  const receiver = ownScript(
    'set -o pipefail; "$1" recv -q "$2" | (head -c 5; exec <&-; echo gone >&2)',
    [launcher, address],
  );
  await untilListening(receiver, address);

  const sender = ownZc(["send", address], { stdin: "pipe" });
  sender.child.stdin?.write("hello");
  await receiver.note(/gone/);
  expect(await stillRuns(receiver)).toBe(true);
  sender.child.stdin?.end();

  expect(failure(await sender.result)).toBe("");
  expect(await receiver.result).toMatchObject({ code: 0, stdout: Buffer.from("hello") });
});

test("head | zc send, with pipefail: all of it, and success", async () => {
  using folder = scratch();
  const address = `tcp:127.0.0.1:${await freePort()}`;
  const receiver = ownZc(["recv", address, folder.file("out"), "--size", "10M"]);
  await untilListening(receiver, address);

  const sender = ownScript(
    'set -o pipefail; head -c 10M /dev/urandom | tee "$3" | "$1" send -q "$2"',
    [launcher, address, folder.file("in")],
  );

  expect(await sender.result).toMatchObject({ code: 0, stderr: "" });
  expect(failure(await receiver.result)).toBe("");
  expect(await difference(folder.file("in"), folder.file("out"))).toBe("");
});
