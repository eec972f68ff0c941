/** Whole streams: their elements, at any split, and back to bytes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Ram } from "../../../../src/migration/ram/ram.ts";
import { encodeBlock, encodeSizes } from "../../../../src/migration/stream/encode-ram.ts";
import { magic } from "../../../../src/migration/stream/format.ts";
import { counted, joined, u8, u16, u32 } from "../../../../src/migration/stream/joined.ts";
import { StreamParser } from "../../../../src/migration/stream/parser.ts";
import { type Generated, streams } from "../generate.ts";
import { parse, plain } from "../parse.ts";
import { contents } from "../ram/ram-model.ts";
import { encodeRecord } from "../records.ts";

test("elements of any stream", () => {
  fc.assert(
    fc.property(streams, (stream) => {
      using ram = ramOf(stream);
      expect(plain(parse(stream.bytes, ram).elements)).toEqual(plain(stream.elements));
    }),
    { numRuns: 600 },
  );
});

test("the same at any split", () => {
  fc.assert(
    fc.property(streams, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (stream, places) => {
      const { length } = stream.bytes;
      const cuts = places.map((place) => Math.floor(place * length)).sort((a, b) => a - b);
      using ram = ramOf(stream);
      expect(plain(parse(stream.bytes, ram, cuts).elements)).toEqual(plain(stream.elements));
    }),
    { numRuns: 300 },
  );
});

test("the same byte by byte", () => {
  const small = streams.filter(({ bytes }) => bytes.length < 8000);
  fc.assert(
    fc.property(small, (stream) => {
      const cuts = Array.from(stream.bytes, (_, index) => index + 1);
      using ram = ramOf(stream);
      expect(plain(parse(stream.bytes, ram, cuts).elements)).toEqual(plain(stream.elements));
    }),
    { numRuns: 40 },
  );
});

test("back to the same bytes", () => {
  fc.assert(
    fc.property(streams, (stream) => {
      using ram = ramOf(stream);
      expect(Buffer.compare(parse(stream.bytes, ram).encoded, stream.bytes)).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("a round of multifd's is told when it is over", () => {
  fc.assert(
    fc.property(streams, (stream) => {
      using ram = ramOf(stream);
      const { flushes, elements } = parse(stream.bytes, ram);
      const told = elements.map((element) =>
        "payload" in element && element.payload.kind === "ram" ? element.payload.flushes : 0,
      );
      expect(flushes).toBe(told.reduce((sum, count) => sum + count, 0));
    }),
    { numRuns: 100 },
  );
});

test("memory does not grow with the stream", () => {
  const page = encodeRecord({ kind: "page", offset: 0, block: "m", bytes: contents(1, 4096) });
  const records = Buffer.concat(Array.from({ length: 256 }, () => page));
  const start = [u8(1), u32(3), counted("ram"), u32(0), u32(4), encodeSizes(4096)];
  using ram = new Ram(4096);
  const parser = new StreamParser({ ram, onElement: () => {} });
  parser.take(joined(u32(magic), u32(3), ...start, encodeBlock({ name: "m", size: 4096 })));
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 500; i++) expect(parser.take(records)).toBe(records.length);
  expect(ram.counts.normal).toBe(500 * 256);
  expect(process.memoryUsage.rss() - before).toBeLessThan(100 << 20);
});

test("elements come some thousands at a time, however small they are", () => {
  const count = 10_000;
  const ping = (value: number) => joined(u8(8), u16(2), u16(4), u32(value));
  const values: number[] = [];
  using ram = new Ram(4096);
  const parser = new StreamParser({
    ram,
    onElement: (element) => {
      if (element.type === "command") values.push(Buffer.from(element.data).readUInt32BE());
    },
  });
  let rest = joined(u32(magic), u32(3), ...Array.from({ length: count }, (_, at) => ping(at)));
  do {
    const before = values.length;
    rest = rest.subarray(parser.take(rest));
    expect(values.length - before).toBeLessThanOrEqual(4096);
  } while (parser.isPaused);
  expect(values).toEqual(Array.from({ length: count }, (_, at) => at));
});

/** One that looks at contents, as the generator's counts do. */
function ramOf({ pageSize }: Generated): Ram {
  return new Ram(pageSize, 1);
}
