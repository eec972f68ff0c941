/** Reports as text: CSV that programs read back, Markdown, and what did not run. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { failuresOf } from "../../../../src/bench/report/cells.ts";
import { toCsv } from "../../../../src/bench/report/csv.ts";
import { toMarkdown } from "../../../../src/bench/report/markdown.ts";
import type { MeasuredCell } from "../../../../src/bench/result.ts";
import { alignedLines } from "../../../../src/lines.ts";
import { sampleCell, sampleResult, verdicts } from "./sample.ts";

const error = { code: "UNSUPPORTED", message: "it cannot" } as const;

describe("CSV", () => {
  test("a row a run, a column a figure", () => {
    const result = sampleResult();
    const [header = [], ...rows] = parseCsv(toCsv(result));
    const runs = result.cells.flatMap(({ runs }) => runs);
    const errors = result.cells.filter(({ error }) => error !== undefined);
    expect(rows.length).toBe(runs.length + errors.length);
    const first = Object.fromEntries(header.map((name, index) => [name, rows[0]?.[index]]));
    expect(first).toMatchObject({ transport: "tcp", mode: "copy", size_bytes: "4096", round: "1" });
    expect(Number(first["bytes_per_second"])).toBe(runs[0]?.bytesPerSecond);
  });

  test("whatever a text is, it comes back", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (transport, message) => {
        const cell = {
          ...sampleCell({ transport, size: 1 }, { runs: 0 }),
          error: { ...error, message },
        };
        const [header = [], row = []] = parseCsv(toCsv(sampleResult({ cells: [cell] })));
        expect(row[header.indexOf("transport")]).toBe(transport);
        expect(row[header.indexOf("error")]).toBe(`[UNSUPPORTED] ${message}`);
      }),
    );
  });
});

/** RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g;
  let row: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(pattern)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

describe("Markdown", () => {
  test("facts, a table a transport, what could not run, and what it comes to", () => {
    const text = toMarkdown(sampleResult(), verdicts);
    expect(text).toMatch(/^# zc bench\n\n- Machine: kernel Linux 6\.18\.44/);
    expect(text).toMatch(/^\| copy \(baseline\) \| copy \| 1 MiB \| 3\.56 \(/m);
    expect(text).toMatch(/^- msg-zerocopy: .*unix sockets know no MSG\\_ZEROCOPY/m);
    expect(text).toMatch(/^## What it comes to\n\n- tcp: splice/m);
  });

  test("no text of the result becomes a column, a heading or a link", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (transport) => {
        const cells = [sampleCell({ transport, size: 4096 })];
        const lines = toMarkdown(sampleResult({ cells }), []).split("\n");
        const tables = lines.filter((line) => line.startsWith("| "));
        const counts = new Set(tables.map((line) => line.split(/(?<!\\)\|/).length));
        expect(counts.size).toBe(1);
        expect(lines.filter((line) => /^#/.test(line)).length).toBe(2);
        expect(lines.join()).not.toMatch(/(?<!\\)\[/);
      }),
    );
  });

  test("an interrupted benchmark says so", () => {
    expect(toMarkdown(sampleResult({ isComplete: false }), [])).toMatch(/interrupted/);
    expect(toMarkdown(sampleResult(), [])).not.toMatch(/interrupted/);
  });
});

describe("what did not run", () => {
  const failed = (mode: MeasuredCell["mode"], size: number, runs = 0) => ({
    ...sampleCell({ transport: "tcp", mode, size }, { runs }),
    error,
  });
  const ran = (mode: MeasuredCell["mode"], size: number) =>
    sampleCell({ transport: "tcp", mode, size });

  test("is told once, where nothing ran", () => {
    const cells = [failed("copy", 4096), failed("copy", 8192), failed("splice", 4096)];
    expect(failuresOf(cells)).toEqual(["[UNSUPPORTED] it cannot"]);
  });

  test("is told by mode, with its sizes where others ran", () => {
    const cells = [
      ...[ran("copy", 4096), ran("copy", 8192), failed("splice", 4096), failed("splice", 8192)],
      ...[failed("sendfile", 4096), ran("sendfile", 8192)],
    ];
    expect(failuresOf(cells)).toEqual(["splice; sendfile 4 KiB: [UNSUPPORTED] it cannot"]);
  });

  test("is told apart by how far it came", () => {
    const cells = [ran("copy", 4096), failed("splice", 4096), failed("sendfile", 4096, 2)];
    expect(failuresOf(cells)).toEqual([
      "splice: [UNSUPPORTED] it cannot",
      "sendfile, after 2 rounds: [UNSUPPORTED] it cannot",
    ]);
  });
});

test("columns line up, and those without a text are left out", () => {
  const rows = [
    ["name", "empty", "n"],
    ["a", "", "1"],
    ["bcdef", "", "100"],
  ];
  expect(alignedLines(rows, 1)).toEqual(["name     n", "a        1", "bcdef  100"]);
});
