/** Standard output for a program whose reader reads nothing. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { onTestFinished } from "vitest";
import { pollOut, ready } from "../../src/run-job.ts";
import { scratch } from "./scratch.ts";

const { O_RDWR, O_WRONLY, O_NONBLOCK } = constants;

/** A pipe with room for nothing: its descriptor, closed with the test. */
export async function fullPipe(): Promise<number> {
  using folder = scratch();
  const path = folder.file("pipe");
  execFileSync("mkfifo", [path]);
  const both = openSync(path, O_RDWR | O_NONBLOCK);
  const fd = openSync(path, O_WRONLY);
  onTestFinished(() => {
    for (const each of [both, fd]) closeSync(each);
  });
  const page = Buffer.alloc(4096);
  while (await ready(both, pollOut, { timeoutMs: 0 })) writeSync(both, page);
  return fd;
}
