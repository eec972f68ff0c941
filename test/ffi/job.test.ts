/** Jobs: started, looked at, cancelled, and ended, from JavaScript. */
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { expect, test } from "vitest";
import { type Job, startJob } from "../../ffi/job.ts";
import { library } from "../../ffi/library.ts";
import { jobEnd, jobState, moveFlag, mover, moveStruct, waitStruct } from "../../ffi/structs.ts";
import { scratch } from "../support/scratch.ts";

const base = { chunk: 65536, depth: 2, limit: -1, mover: mover.copy };

function started(job: Job | number): Job {
  if (typeof job === "number") throw new Error(`errno ${-job}`);
  return job;
}

function move(options: Parameters<typeof moveStruct.pack>[0]): Job | number {
  return startJob(library().zc_move_start, moveStruct, { ...base, ...options });
}

test("a move ends at the end of its source, with its counters", async () => {
  using folder = scratch();
  const source = openSync(folder.random("in", 1_000_000), "r");
  const sink = openSync(folder.file("out"), "w");
  const stats = await started(move({ source, sink })).ended;
  expect(stats).toMatchObject({
    state: jobState.ended,
    error: 0,
    end: jobEnd.eof,
    bytes: 1_000_000,
  });
  closeSync(source);
  closeSync(sink);
});

test("counters can be read while it runs; cancelling ends it with ECANCELED", async () => {
  const source = openSync("/dev/zero", "r");
  const sink = openSync("/dev/null", "w");
  const job = started(move({ source, sink }));
  while (job.stats.bytes === 0) await new Promise(setImmediate);
  job.cancel();
  const stats = await job.ended;
  expect(stats.error).toBe(constants.errno.ECANCELED);
  expect(stats.bytes).toBeGreaterThan(0);
  expect(job.stats).toEqual(stats);
  closeSync(source);
  closeSync(sink);
});

test("a job that sits in a blocking read(2) can be cancelled", async () => {
  using folder = scratch();
  expect(Bun.spawnSync(["mkfifo", folder.file("fifo")]).exitCode).toBe(0);
  const source = openSync(folder.file("fifo"), "r+"); // a writer there is, so a read waits for it
  const sink = openSync("/dev/null", "w");
  const job = started(move({ source, sink }));
  job.cancel();
  expect((await job.ended).error).toBe(constants.errno.ECANCELED);
  closeSync(source);
  closeSync(sink);
});

test("many jobs share one eventfd", async () => {
  const waits = Array.from({ length: 50 }, (_, index) =>
    started(startJob(library().zc_wait_start, waitStruct, { fd: -1, timeout_ms: index % 7 })),
  );
  for (const { error } of await Promise.all(waits.map((job) => job.ended))) {
    expect(error).toBe(constants.errno.ETIMEDOUT);
  }
});

test.each([
  ["no such mover", { mover: 99 }],
  ["a chunk of nothing", { chunk: 0 }],
  ["a sparse chunk below a block", { chunk: 4095, flags: moveFlag.sparse }],
  ["a chunk too large", { chunk: 2 ** 31 }],
  ["a depth too large", { depth: 1000 }],
  ["an interval without memory", { interval: 1 }],
])("%s is EINVAL, and no job", (_, options) => {
  expect(move({ source: 0, sink: 1, ...options })).toBe(-constants.errno.EINVAL);
});

test("a bad descriptor is the job's error", async () => {
  const stats = await started(move({ source: 9999, sink: 9998 })).ended;
  expect(stats).toMatchObject({ error: constants.errno.EBADF, bytes: 0 });
});
