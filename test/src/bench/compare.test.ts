/** zc bench compare: what differs is said, what chance may have done is not. */
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compareResults } from "../../../src/bench/compare.ts";
import { comparisonSchema } from "../../../src/bench/comparison.schema.ts";
import { comparisonText } from "../../../src/bench/report/comparison.ts";
import type { BenchResult } from "../../../src/bench/result.ts";
import { scratch } from "../../support/scratch.ts";
import { zc } from "../../support/zc.ts";
import { madeResult } from "./made.ts";

const slow = [1, 1.1, 1.2, 1.3, 1.4];
const fast = [2, 2.1, 2.2, 2.3, 2.4];

const before = madeResult([
  { size: 4096, rates: slow, cpu: 2 },
  { size: 65_536, rates: slow },
  { size: 1 << 20, rates: fast },
  { size: 512, rates: slow },
  { size: 1024, rates: [] },
]);
const after = madeResult([
  { size: 4096, rates: fast, cpu: 1 },
  { size: 65_536, rates: [0.9, 1.15, 1.21, 1.31, 1.5] },
  { size: 1 << 20, rates: slow },
  { size: 256, rates: slow },
  { size: 1024, rates: slow },
]);

describe("cells", () => {
  const { cells, unmatched } = compareResults(before, after);

  test("that are in both are held against each other", () => {
    expect(cells.map(({ size, throughput }) => [size, throughput?.difference])).toEqual([
      [4096, "greater"],
      [65_536, "unclear"],
      [1 << 20, "less"],
    ]);
    expect(cells[0]?.throughput?.ratio).toBeCloseTo(2.2 / 1.2, 6);
    expect(cells[0]?.throughput?.probability).toBeCloseTo(2 / 252, 10);
  });

  test("their CPU time too", () => {
    expect(cells[0]?.cpu).toMatchObject({ before: 2, after: 1, ratio: 0.5 });
  });

  test("measured in one alone are named", () => {
    expect(unmatched.map(({ size }) => size)).toEqual([512, 256, 1024]);
  });
});

test("latencies are held against each other by their medians, and nothing else is", () => {
  const quick = [10_000, 11_000, 12_000, 13_000, 14_000];
  const slower = [20_000, 21_000, 22_000, 23_000, 24_000];
  const [old, now] = [slower, quick].map((latencies) => madeResult([{ rates: slow, latencies }]));
  if (old === undefined || now === undefined) throw new Error("no results");
  const comparison = compareResults(old, now);
  expect(comparison.cells).toEqual([
    expect.objectContaining({ latency: expect.objectContaining({ difference: "less" }) }),
  ]);
  expect(comparison.cells[0]?.throughput).toBeUndefined();
  const text = comparisonText(comparison, (_, text) => text);
  expect(text).toMatch(/tcp +copy +64 KiB +22.0 µs +12.0 µs +0.545 +less/);
  const mixed = compareResults(madeResult([{ rates: slow }]), now);
  expect(mixed.cells[0]).not.toHaveProperty("latency");
});

test("settings that differ are named, but for how long it took", () => {
  const changed: BenchResult = {
    ...after,
    settings: { ...after.settings, touch: true, streams: 4, repeat: 9, seconds: 3 },
  };
  expect(compareResults(before, changed).differentSettings).toEqual(["streams", "touch"]);
  expect(compareResults(before, after).differentSettings).toEqual([]);
});

describe("the command", () => {
  test("prints a line a cell, or JSON of its schema", async () => {
    using folder = scratch();
    const [old, now] = [folder.file("old.json"), folder.file("now.json")];
    writeFileSync(old, `a note before it\n${JSON.stringify(before)}\n`);
    writeFileSync(now, JSON.stringify(after));
    const text = await zc(["bench", "compare", old, now]);
    expect(text.code).toBe(0);
    expect(text.stdout.toString()).toMatch(/tcp +copy +4 KiB +1.20 +2.20 +1.83 +more/);
    expect(text.stdout.toString()).toMatch(/tcp +copy +64 KiB .* ≈/);
    expect(text.stdout.toString()).toMatch(/only in one: tcp copy 512 B/);
    writeFileSync(now, JSON.stringify(after, null, 2)); // as jq writes it
    const json = await zc(["bench", "compare", old, now, "--json"]);
    expect(comparisonSchema.parse(JSON.parse(json.stdout.toString())).cells.length).toBe(3);
  });

  test.each([
    ["what is no result", "{}", 4, /\[PROTOCOL\] read .*no result of `zc bench --json`/],
    ["what is no JSON", "hello", 4, /\[PROTOCOL\]/],
    ["what is not there", undefined, 1, /\[READ_SOURCE\] read .*ENOENT/],
  ])("refuses %s", async (_, content, code, reason) => {
    using folder = scratch();
    const file = folder.file("result.json");
    if (content !== undefined) writeFileSync(file, content);
    const result = await zc(["bench", "compare", file, file]);
    expect({ code: result.code, stdout: result.stdout.toString() }).toEqual({ code, stdout: "" });
    expect(result.stderr).toMatch(reason);
  });
});
