/** Pipes that have a name: open(2) waits for the other end. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { scratch } from "../../support/scratch.ts";
import { listening, type Running, start, startZc } from "../../support/zc.ts";

async function pipeIn(folder: { file: (name: string) => string }): Promise<string> {
  const pipe = folder.file("pipe");
  expect((await start("mkfifo", [pipe]).result).code).toBe(0);
  return pipe;
}

/** What its threads sleep in. */
function sleepsOf({ child: { pid } }: Running): string {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks)
    .map((task) => readFileSync(`${tasks}/${task}/wchan`, "latin1"))
    .join(" ");
}

test.each(["send", "recv"])("zc %s hears a signal while it waits for one", async (command) => {
  using folder = scratch();
  const receiver = await listening(["recv", "127.0.0.1:0", "/dev/null"]);
  const address = command === "send" ? receiver.address : "127.0.0.1:0";
  const running = startZc([command, address, await pipeIn(folder)]);
  await expect.poll(() => sleepsOf(running)).toContain("wait_for_partner");
  running.child.kill("SIGTERM");
  expect((await running.result).code).toBe(143);
  receiver.child.kill("SIGTERM");
  await receiver.result;
});

test("what comes out of one is sent, and what was received goes into one", async () => {
  using folder = scratch();
  const pipe = await pipeIn(folder);
  const reader = start("cat", [pipe]);
  const receiver = await listening(["recv", "127.0.0.1:0", pipe]);
  const other = `${pipe}-2`;
  await start("mkfifo", [other]).result;
  const sender = startZc(["send", receiver.address, other]);
  const writer = start("sh", ["-c", `seq 100000 > ${other}`]);
  expect((await writer.result).code).toBe(0);
  expect((await sender.result).code).toBe(0);
  expect((await receiver.result).code).toBe(0);
  const { stdout } = await reader.result;
  expect(stdout.toString().trimEnd().split("\n").length).toBe(100_000);
});
