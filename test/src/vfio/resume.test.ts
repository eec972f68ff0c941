import { closeSync, openSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Recovery } from "../../../src/vfio/recover.ts";
import { resumeDevice } from "../../../src/vfio/resume.ts";
import { scratch } from "../../support/scratch.ts";
import { PretendDevice, type PretendOptions } from "./pretend.ts";

let folder: ReturnType<typeof scratch>;
beforeEach(() => {
  folder = scratch();
  writeFileSync(folder.file("state"), "its state");
});
afterEach(() => folder[Symbol.dispose]());

async function resume(pretended: PretendOptions, run = false) {
  const device = new PretendDevice(pretended);
  let recovery: Recovery | undefined;
  const fd = openSync(folder.file("state"), "r");
  const source = { fd, name: "the state", isSocket: false };
  const result = await resumeDevice(device, source, {
    run,
    onRecovered: (how) => {
      recovery = how;
    },
  }).then(
    (resumed) => ({ resumed, error: undefined }),
    (error: unknown) => ({ resumed: undefined, error }),
  );
  closeSync(fd);
  return { happened: device.happened, recovery, ...result };
}

test("a device takes a state, and rests in STOP or runs", async () => {
  const options = { takes: "its state", state: "STOP" } as const;
  const stopped = await resume(options);
  expect(stopped.happened).toEqual(["RESUMING", "STOP", "close"]);
  expect(stopped.resumed).toMatchObject({ bytes: 9, state: "STOP" });
  const running = await resume(options, true);
  expect(running.happened.at(-1)).toBe("close");
  expect(running.happened).toContain("RUNNING");
  expect(running.resumed).toMatchObject({ bytes: 9, state: "RUNNING" });
});

test("what was begun there, or broke, is reset before", async () => {
  for (const state of ["RESUMING", "ERROR"] as const) {
    const { happened, resumed } = await resume({ state, takes: "its state" });
    expect(happened.slice(0, 2)).toEqual(["reset", "RUNNING"]);
    expect(resumed).toMatchObject({ bytes: 9, state: "STOP" });
  }
});

test("a state that the device refuses is the data's fault, and the device is reset", async () => {
  const { error, recovery } = await resume({ takes: "another" });
  expect(error).toMatchObject({ code: "PROTOCOL", errno: 22 });
  expect(recovery).toEqual({ found: "RESUMING", state: "RUNNING", action: "reset" });
});

test("a failure of the device is not, and where nothing began nothing is reset", async () => {
  const { error, recovery, happened } = await resume({ failsInto: "RUNNING_P2P" });
  expect(error).toMatchObject({ code: "DEVICE", errno: 5 });
  expect(recovery).toEqual({ found: "RUNNING", state: "RUNNING", action: "unwound" });
  expect(happened).toEqual([]);
});
