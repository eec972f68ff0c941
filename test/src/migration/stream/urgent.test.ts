/** Pages that a postcopy's destination asks for, on a connection of their own. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ram } from "../../../../src/migration/ram/ram.ts";
import { joined, u8, u64 } from "../../../../src/migration/stream/joined.ts";
import { isUrgent, UrgentParser } from "../../../../src/migration/stream/urgent.ts";
import { refusalsOf } from "../../refusal.ts";
import { contents } from "../ram/ram-model.ts";
import { encodeRecord, type PageRecord } from "../records.ts";

const { refusal: protocol } = refusalsOf("PROTOCOL", 500);
const { refusal: truncation } = refusalsOf("TRUNCATED", 500);

const size = 1024;
const end = encodeRecord({ kind: "end" });
const zero = encodeRecord({ kind: "zero", block: "a", offset: 0 });

function ramOfTwo(): Ram {
  const ram = new Ram(size);
  ram.add("a", 64 * size);
  ram.add("b", 64 * size);
  return ram;
}

/** All of it, as it comes up to each cut. */
function parse(ram: Ram, bytes: Uint8Array, cuts: readonly number[] = []): void {
  const parser = new UrgentParser(ram);
  let done = 0;
  for (const cut of [...cuts, bytes.length])
    for (let taken = 1; taken > 0; done += taken) taken = parser.take(bytes.slice(done, cut));
  parser.end(bytes.subarray(done));
}

const pages = fc.array(
  fc.record({ block: fc.constantFrom("a", "b"), page: fc.nat(63), isZero: fc.boolean() }),
  { maxLength: 20 },
);

test("each channel goes on with its own block, and pages are counted once", () => {
  const cuts = fc.array(fc.nat(20_000), { maxLength: 5 });
  fc.assert(
    fc.property(pages, cuts, fc.boolean(), (pages, cuts, hasEnd) => {
      using ram = ramOfTwo();
      ram.scan(encodeRecord({ kind: "zero", block: "b", offset: 0 }));
      let before: string | undefined;
      const records = pages.map(({ block, page, isZero }) => {
        const name = block === before ? undefined : block;
        before = block;
        const bytes = isZero ? undefined : contents(page + 1, size);
        const record: PageRecord = { kind: isZero ? "zero" : "page", offset: page * size, bytes };
        return encodeRecord({ ...record, block: name });
      });
      const bytes = joined(...records, ...(hasEnd ? [end] : []));
      const sorted = cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b);
      parse(ram, bytes, sorted);
      ram.scan(encodeRecord({ kind: "zero", offset: size })); // of "b", whatever came there
      const countOf = (block: string) => pages.filter((page) => page.block === block).length;
      const sent = ["a", "b"].map((block) => ram.countsOf(block));
      expect(sent.map(({ normal, zero }) => normal + zero)).toEqual([
        countOf("a"),
        countOf("b") + 2,
      ]);
      expect(ram.rounds.length).toBe(1);
    }),
    { numRuns: 200 },
  );
});

describe("malformed", () => {
  test.each([
    [
      "no block named",
      encodeRecord({ kind: "zero", offset: 0 }),
      "0x0: expected a RAM record that",
    ],
    ["no block of the list", encodeRecord({ kind: "zero", block: "c", offset: 0 }), "block of the"],
    ["more behind the end", joined(zero, end, zero), "0x13: expected the end of pages, found more"],
    [
      "a list of blocks",
      joined(zero, u64(0x1004)),
      "0x13: expected records of pages alone, found flags 0x4 before it",
    ],
    ["a round's end", encodeRecord({ kind: "flush" }), "found flags 0x200 before it"],
  ])("%s", (_, bytes, message) => {
    using ram = ramOfTwo();
    ram.scan(zero);
    expect(protocol(() => parse(ram, bytes))).toContain(message);
  });
});

test("half a page", () => {
  using ram = ramOfTwo();
  expect(truncation(() => parse(ram, joined(zero, zero.subarray(0, 9))))).toContain(
    "0x14: expected the rest of a page, found its end",
  );
});

describe("told by its first bytes", () => {
  test.each([
    ["nothing", new Uint8Array(), true],
    ["a page", encodeRecord({ kind: "page", block: "a", offset: 2 ** 40, bytes: zero }), true],
    ["a zero page", zero, true],
    ["the end", end, true],
    ["a page of the same block", encodeRecord({ kind: "page", offset: 0, bytes: zero }), false],
    ["a stream", Uint8Array.fromHex("5145564d00000003"), false],
    ["a channel of multifd's", Uint8Array.fromHex("1122334400000001"), false],
    ["zeros", new Uint8Array(100), false],
    ["what is short", u8(0), false],
    ["more RAM than there can be", u64(2n ** 44n + 8n), false],
  ])("%s", (_, head, expected) => {
    expect(isUrgent(head)).toBe(expected);
  });
});
