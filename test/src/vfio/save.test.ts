import { closeSync, openSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Recovery } from "../../../src/vfio/recover.ts";
import { type SaveOptions, type SaveStage, saveDevice } from "../../../src/vfio/save.ts";
import { scratch } from "../../support/scratch.ts";
import { PretendDevice, type PretendOptions } from "./pretend.ts";

let folder: ReturnType<typeof scratch>;
beforeEach(() => {
  folder = scratch();
});
afterEach(() => folder[Symbol.dispose]());

interface Result {
  readonly device: PretendDevice;
  readonly happened: readonly string[];
  readonly stages: readonly SaveStage[];
  readonly written: string;
  readonly recovery?: Recovery;
  readonly error?: unknown;
  readonly saved?: Awaited<ReturnType<typeof saveDevice>>;
}

/** `finish`: what the other side says at the end. */
async function save(
  pretended: PretendOptions,
  options: Partial<SaveOptions> = {},
  { finish = async () => {}, flags = "w" }: { finish?: () => Promise<void>; flags?: string } = {},
): Promise<Result> {
  const device = new PretendDevice(pretended);
  const stages: SaveStage[] = [];
  let recovery: Recovery | undefined;
  const path = folder.file("state");
  if (flags === "r") closeSync(openSync(path, "w"));
  const fd = openSync(path, flags);
  const sink = {
    end: { fd, name: "the sink", isSocket: false },
    finish: async () => {
      device.happened.push("finish");
      await finish();
    },
  };
  const result = await saveDevice(device, sink, {
    ...{ preCopy: true, downtimeMs: 300, run: false, ...options },
    onStage: (stage) => stages.push(stage),
    onRecovered: (how) => {
      recovery = how;
    },
  }).then(
    (saved) => ({ saved }),
    (error: unknown) => ({ error }),
  );
  closeSync(fd);
  const written = readFileSync(path, "latin1");
  return {
    device,
    happened: device.happened,
    stages,
    written,
    ...(recovery && { recovery }),
    ...result,
  };
}

const clean = { initialBytes: 0, dirtyBytes: 0 };

describe("a device that runs", () => {
  test("gives what it can before it is stopped, and rests in STOP", async () => {
    const infos = [{ initialBytes: 5, dirtyBytes: 0 }, clean];
    const { happened, written, saved, stages } = await save({
      ...{ early: ["one ", "two "], late: "rest", infos },
    });
    expect(written).toBe("one two rest");
    expect(happened).toEqual([
      ...["PRE_COPY", "move", "move", "PRE_COPY_P2P", "STOP_COPY"],
      ...["move", "finish", "close", "STOP"],
    ]);
    expect(saved).toMatchObject({
      bytes: 12,
      preCopyBytes: 8,
      verdict: "converged",
      state: "STOP",
    });
    expect(stages).toMatchObject([
      { stage: "pre-copy", from: "RUNNING" },
      { stage: "stop-copy", from: "PRE_COPY", size: 4, precopy: { bytes: 8 } },
    ]);
  });

  test("runs again where it was asked to, and not before the other side has it all", async () => {
    const { happened } = await save({ flags: 1, late: "rest" }, { run: true });
    expect(happened).toEqual(["STOP", "STOP_COPY", "move", "finish", "close", "STOP", "RUNNING"]);
  });

  test("has no pre-copy where that is not wanted, or not there", async () => {
    for (const [flags, preCopy] of [
      [7, false],
      [3, true],
    ] as const) {
      const { happened, saved } = await save(
        { flags, early: ["never"], late: "rest" },
        { preCopy },
      );
      expect(happened).not.toContain("PRE_COPY");
      expect(saved).toMatchObject({ bytes: 4, preCopyBytes: 0, verdict: undefined });
    }
  });

  test("is stopped although it never becomes less", async () => {
    const infos = [{ initialBytes: 0, dirtyBytes: 1e9 }];
    const { saved, written } = await save({ infos, late: "rest" });
    expect(saved).toMatchObject({ verdict: "stalled" });
    expect(written).toBe("rest");
  });

  test("and does not tell what is left gives round after round, until one is small", async () => {
    const early = [300, 200, 60].map((kilobytes) => "x".repeat(kilobytes * 1000));
    const { saved } = await save({ early, late: "rest" });
    expect(saved).toMatchObject({ verdict: "converged", preCopyBytes: 560_000 });
  });
});

describe("a device that stands still", () => {
  test("is saved as it is", async () => {
    const { happened, saved } = await save({ state: "STOP", late: "rest" });
    expect(happened).toEqual(["STOP_COPY", "move", "finish", "close", "STOP"]);
    expect(saved).toMatchObject({ bytes: 4 });
  });

  test.each([
    ["STOP_COPY", ["STOP", "STOP_COPY"]],
    ["PRE_COPY", ["RUNNING", "PRE_COPY"]],
  ] as const)("in a session of %s that was left behind, ends that first", async (state, steps) => {
    const { happened, saved } = await save({ state, infos: [clean], late: "rest" });
    expect(happened.slice(0, 2)).toEqual(steps);
    expect(saved).toMatchObject({ bytes: 4 });
  });

  test.each(["ERROR", "RESUMING"] as const)("in %s has nothing to save", async (state) => {
    const { happened, error, recovery } = await save({ state });
    expect(error).toMatchObject({ code: "DEVICE", hint: "zc vfio state pretended --reset" });
    expect({ happened, recovery }).toEqual({ happened: [], recovery: undefined });
  });

  test("and cannot be migrated", async () => {
    expect((await save({ flags: 0 })).error).toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("after a failure", () => {
  const refused = { infos: [clean], late: "rest" };

  test("of the other side it runs on", async () => {
    const finish = () => Promise.reject(new Error("not all arrived"));
    const { happened, error, recovery } = await save(refused, {}, { finish });
    expect(error).toMatchObject({ message: "not all arrived" });
    expect(happened.slice(-5)).toEqual(["finish", "close", "STOP", "RUNNING_P2P", "RUNNING"]);
    expect(recovery).toEqual({ found: "STOP_COPY", state: "RUNNING", action: "unwound" });
  });

  test("of the sink it runs on", async () => {
    const { error, recovery } = await save({ ...refused, early: ["one"] }, {}, { flags: "r" });
    expect(error).toMatchObject({ code: "WRITE_SINK" });
    expect(recovery).toEqual({ found: "PRE_COPY", state: "RUNNING", action: "unwound" });
  });

  test("one that stood still stands still", async () => {
    const { recovery } = await save({ ...refused, state: "STOP" }, {}, { flags: "r" });
    expect(recovery).toEqual({ found: "STOP_COPY", state: "STOP", action: "unwound" });
  });

  test("of a change it goes back from where that left it", async () => {
    const { happened, recovery } = await save({ ...refused, failsInto: "STOP_COPY" });
    expect(happened.slice(-3)).toEqual(["close", "RUNNING_P2P", "RUNNING"]);
    expect(recovery).toEqual({ found: "PRE_COPY_P2P", state: "RUNNING", action: "unwound" });
  });

  test("in ERROR it is reset", async () => {
    const { happened, recovery } = await save({ ...refused, failsInto: "STOP_COPY", breaks: true });
    expect(happened.slice(-2)).toEqual(["reset", "RUNNING"]);
    expect(recovery).toEqual({ found: "ERROR", state: "RUNNING", action: "reset" });
  });

  test("that leaves no way back it is left, and said why", async () => {
    const failing = { ...refused, failsInto: "RUNNING" } as const;
    const { recovery } = await save(failing, { preCopy: false }, { flags: "r" });
    expect(recovery).toMatchObject({
      ...{ found: "STOP_COPY", state: "RUNNING_P2P", action: "left" },
      reason: expect.stringContaining("EIO"),
    });
  });

  test("by the user it runs on", async () => {
    const stop = new AbortController();
    const onStage = ({ stage }: SaveStage) => {
      if (stage === "stop-copy") stop.abort(new Error("enough"));
    };
    const device = new PretendDevice(refused);
    const end = { fd: 2, name: "nowhere", isSocket: false };
    const saving = saveDevice(
      device,
      { end, finish: async () => {} },
      { preCopy: true, downtimeMs: 0, run: false, signal: stop.signal, onStage },
    );
    await expect(saving).rejects.toThrow("enough");
    expect(device.happened.at(-1)).toBe("RUNNING");
  });

  test("that comes when the other side has it all, it does not run", async () => {
    const { happened, error, recovery } = await save({ ...refused, failsInto: "STOP" });
    expect(error).toMatchObject({ code: "DEVICE" });
    expect(happened.slice(-2)).toEqual(["finish", "close"]);
    expect(recovery).toEqual({
      ...{ found: "STOP_COPY", state: "STOP_COPY", action: "left" },
      reason: "all of its state is saved",
    });
  });
});
