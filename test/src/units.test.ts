import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  durationMsMax,
  formatCount,
  formatCounted,
  formatDuration,
  formatRate,
  formatShare,
  formatSize,
  parseCount,
  parseDuration,
  parseRate,
  parseSize,
} from "../../src/units.ts";
import { attempt, refusal } from "./refusal.ts";

describe("parseSize", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["12B", 12],
    ["64K", 65536],
    ["64k", 65536],
    ["64KiB", 65536],
    ["64kib", 65536],
    ["1M", 2 ** 20],
    ["2G", 2 ** 31],
    ["1T", 2 ** 40],
    ["1.5G", 1.5 * 2 ** 30],
    ["0.5K", 512],
    ["1.0", 1],
    ["8p", 32768],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ])("%s", (text, bytes) => {
    expect(parseSize(text, "--chunk")).toBe(bytes);
  });

  test.each([
    ["", '--chunk: "" is not a number and a unit; for example 64K, 1.5G or 8p'],
    ["-1", "is not a number and a unit"],
    ["+1", "is not a number and a unit"],
    [".5K", "is not a number and a unit"],
    ["1.K", "is not a number and a unit"],
    ["1 K", "is not a number and a unit"],
    ["1_000", "is not a number and a unit"],
    ["0x10", "is not a number and a unit"],
    ["1e3", "is not a number and a unit"],
    ["NaN", "is not a number and a unit"],
    ["Infinity", "is not a number and a unit"],
    ["64K\n", '"64K\\u{a}" is not a number and a unit'],
    ["64KB", 'has an unknown unit, "KB"'],
    ["64Q", 'has an unknown unit, "Q"'],
    ["8P", 'has an unknown unit, "P"'],
    ["1constructor", 'has an unknown unit, "constructor"'],
    ["0.1K", '"0.1K" is not a whole number of bytes'],
    ["9007199254740991.4", "is not a whole number of bytes"],
    ["9007199254740992", "is more than 9007199254740991 bytes"],
    ["8192T", "is more than 9007199254740991 bytes"],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseSize(text, "--chunk"))).toContain(message);
  });

  test("pages of another size", () => {
    expect(parseSize("2p", "--chunk", 16384)).toBe(32768);
  });
});

describe("parseRate", () => {
  test.each([
    ["100M", 100 * 2 ** 20],
    ["100MiB", 100 * 2 ** 20],
    ["1gbit", 125_000_000],
    ["1Gbit", 125_000_000],
    ["2.5gbit", 312_500_000],
    ["10mbit", 1_250_000],
    ["500kbit", 62_500],
    ["8bit", 1],
    ["7", 7],
  ])("%s", (text, bytesPerSecond) => {
    expect(parseRate(text, "--rate")).toBe(bytesPerSecond);
  });

  test.each([
    ["1bit", "is not a whole number of bytes a second; for example 100M or 1gbit"],
    ["8p", 'has an unknown unit, "p"'],
    ["1gb", 'has an unknown unit, "gb"'],
    ["1M/s", "is not a number and a unit"],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseRate(text, "--rate"))).toContain(message);
  });
});

describe("parseDuration", () => {
  test.each([
    ["0", 0],
    ["500ms", 500],
    ["5s", 5000],
    ["1.5s", 1500],
    ["1.005s", 1005],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["2147483647ms", 0x7fff_ffff],
  ])("%s", (text, milliseconds) => {
    expect(parseDuration(text, "--timeout")).toBe(milliseconds);
  });

  test.each([
    ["5", '--timeout: "5" has no unit; for example 500ms, 1.5s or 2m'],
    ["1.5ms", "is not a whole number of milliseconds"],
    ["5M", 'has an unknown unit, "M"'],
    ["5us", 'has an unknown unit, "us"'],
    ["-5s", "is not a number and a unit"],
    ["2147483648ms", '"2147483648ms" is more than 2147483647 milliseconds'],
    ["1000h", '"1000h" is more than 2147483647 milliseconds; for example 500ms, 1.5s or 2m'],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseDuration(text, "--timeout"))).toContain(message);
  });
});

describe("parseCount", () => {
  test.each([
    ["2", 2],
    ["256", 256],
  ])("%s", (text, count) => {
    expect(parseCount(text, "--depth", { min: 2, max: 256 })).toBe(count);
  });

  test.each(["1", "257", "", "-2", "2.0", "0x10", "1e2", "2 ", "NaN"])("refuses %j", (text) => {
    expect(refusal(() => parseCount(text, "--depth", { min: 2, max: 256 }))).toBe(
      `zc: [USAGE] --depth: "${text}" is not a whole number from 2 to 256; for example 2`,
    );
  });

  test("has the limits of exact numbers unless told others", () => {
    expect(parseCount("9007199254740991", "--n")).toBe(Number.MAX_SAFE_INTEGER);
    expect(refusal(() => parseCount("9007199254740992", "--n"))).toContain("from 0 to");
  });
});

test.each([
  ["bytes", fc.nat(), "", parseSize, 1],
  ["KiB", fc.nat(), "K", parseSize, 1024],
  ["pages", fc.nat(), "p", parseSize, 4096],
  ["KiB a second", fc.nat(), "K", parseRate, 1024],
  ["kbit", fc.nat(), "kbit", parseRate, 125],
  ["minutes", fc.nat(Math.floor(durationMsMax / 60_000)), "m", parseDuration, 60_000],
] as const)("%s are exact", (_, numbers, unit, parse, factor) => {
  fc.assert(
    fc.property(numbers, (number) => {
      expect(parse(`${number}${unit}`, "--x")).toBe(number * factor);
    }),
  );
});

test("three decimals of a second are exact", () => {
  fc.assert(
    fc.property(fc.nat(), (milliseconds) => {
      expect(parseDuration(`${(milliseconds / 1000).toFixed(3)}s`, "--x")).toBe(milliseconds);
    }),
  );
});

test("arbitrary text is a safe number or a usage error", () => {
  const parsers = fc.constantFrom(parseSize, parseRate, parseDuration, parseCount);
  fc.assert(
    fc.property(anyText, parsers, (text, parse: (text: string, name: string) => number) => {
      const { value } = attempt(() => parse(text, "--x"));
      if (value !== undefined) expect(value).toSatisfy(isSafeAndNotNegative);
    }),
    { numRuns: 2000 },
  );
});

describe("formatSize", () => {
  test.each([
    [0, "0 B"],
    [12, "12 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1.5 * 2 ** 30, "1.5 GiB"],
    [2 ** 20 - 1, "1.0 MiB"],
    [2 ** 50, "1.0 PiB"],
    [2 ** 62, "4096.0 PiB"],
  ])("%d", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  test("says what parseSize reads, to a twentieth", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 42), (bytes) => {
        const [number = "", unit = ""] = formatSize(bytes).split(" ");
        const shown = Number(number) * parseSize(`1${unit}`, "--x");
        expect(Math.abs(shown - bytes)).toBeLessThanOrEqual(bytes / 20);
      }),
    );
  });
});

test.each([
  [0, "0 B/s"],
  [3.21 * 2 ** 30, "3.21 GiB/s"],
  [999.6, "1000 B/s"],
  [1023.6, "1.00 KiB/s"],
])("a rate of %d", (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

describe("formatDuration", () => {
  test.each([
    [0, "0.00 s"],
    [0.344, "0.34 s"],
    [59.994, "59.99 s"],
    [59.999, "1:00"],
    [125, "2:05"],
    [3599.9, "1:00:00"],
    [3723, "1:02:03"],
    [360_000, "100:00:00"],
  ])("%d", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test("whole seconds can be read back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 10 ** 7 }), (seconds) => {
        const parts = formatDuration(seconds).split(":").map(Number);
        expect(parts.reduce((sum, part) => sum * 60 + part, 0)).toBe(seconds);
      }),
    );
  });
});

test("a count has a comma every three digits", () => {
  expect([0, 999, 1000, 65536, 1234567].map(formatCount)).toEqual([
    "0",
    "999",
    "1,000",
    "65,536",
    "1,234,567",
  ]);
  fc.assert(
    fc.property(fc.maxSafeNat(), (count) => {
      expect(formatCount(count)).toMatch(/^\d{1,3}(,\d{3})*$/);
      expect(Number(formatCount(count).replaceAll(",", ""))).toBe(count);
    }),
  );
});

function isSafeAndNotNegative(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

const piece = fc.constantFrom(
  "0",
  "1",
  "9".repeat(15),
  ".",
  "-",
  "K",
  "GiB",
  "bit",
  "ms",
  "p",
  "e",
);
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join("")),
);

test.each([
  [0, "0 pages"],
  [1, "1 page"],
  [1234, "1,234 pages"],
])("%i page", (count, text) => {
  expect(formatCounted(count, "page")).toBe(text);
});

test.each([
  [0, "0 %"],
  [0.001, "< 1 %"],
  [0.124, "12 %"],
  [0.999, "> 99 %"],
  [1, "100 %"],
])("a share of %d", (share, text) => {
  expect(formatShare(share)).toBe(text);
});
