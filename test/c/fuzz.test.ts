/** test/c/fuzz/ram_fuzz.c, over inputs that are the same each time, and from streams that QEMU makes. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type TestContext, test } from "vitest";
import { Ram } from "../../src/migration/ram/ram.ts";
import { type KindName, kindsOf } from "../migration/kinds.ts";
import { describeWithQemu } from "../migration/qemus.ts";
import { streamsOfTests } from "../migration/streams.ts";
import { makeStream } from "../src/migration/hand-made.ts";
import { scratch } from "../support/scratch.ts";
import { seedsOf } from "./fuzz/seeds.ts";

const timeout = 120_000;

test("any RAM records, packets and mapped pages", { timeout }, (context) => {
  expect(fuzz(context).runs).toBeGreaterThanOrEqual(80_000);
});

test("a seed is records that are taken whole", () => {
  using ram = new Ram(4096);
  ram.add("m", 66 * 4096);
  for (const [options, ...records] of seedsOf(makeStream())) {
    expect(options).toBe(0x2d);
    expect(ram.scan(Uint8Array.from(records)).consumed).toBe(records.length);
  }
  expect(ram.counts).toMatchObject({ normal: 3, zero: 2, xbzrle: 1 });
});

const streamOf = streamsOfTests();
const kindsOfRecords: readonly KindName[] = ["plain", "xbzrle", "compress", "postcopy"];

describeWithQemu("RAM records like those of streams", (qemu) => {
  test("go further", { timeout }, async (context) => {
    using folder = scratch();
    const corpus = process.env["FUZZ_CORPUS"] ?? folder.file("corpus");
    mkdirSync(corpus, { recursive: true });
    for (const kind of kindsOf(qemu).filter((name) => kindsOfRecords.includes(name))) {
      const { main } = await streamOf(qemu, kind);
      for (const [number, seed] of seedsOf(readFileSync(main)).entries())
        writeFileSync(join(corpus, `${kind}-${number}`), seed);
    }
    const before = fuzz(context, "-runs=0");
    const after = fuzz(context, "-runs=10000", "-seed=1", corpus);
    expect(after.runs).toBeGreaterThanOrEqual(10_000);
    expect(after.covered).toBeGreaterThan(before.covered);
  });
});

function fuzz(context: TestContext, ...args: readonly string[]) {
  const run = join(import.meta.dirname, "fuzz/run");
  const { status, stderr, stdout } = spawnSync(run, args, { encoding: "utf8" });
  context.skip(status === 77, stdout);
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) });
  // It finishes what it has begun with one input: there may be a few more runs than were asked for.
  const told = (what: RegExp) => Number(what.exec(stderr)?.[1]);
  return { runs: told(/Done (\d+) runs/), covered: told(/INITED cov: (\d+)/) };
}
