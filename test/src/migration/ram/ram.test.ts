/** RAM after any records: images, and what is counted. */
import { closeSync, ftruncateSync, openSync, readFileSync, statSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Ram } from "../../../../src/migration/ram/ram.ts";
import { joined, u64 } from "../../../../src/migration/stream/joined.ts";
import { type Scratch, scratch } from "../../../support/scratch.ts";
import { encodeRecord } from "../records.ts";
import { contents, type ModelBlock, none, RamModel, type Sending } from "./ram-model.ts";
import { xbzrle } from "./xbzrle.ts";

let folder: Scratch;
let files = 0;
beforeAll(() => {
  folder = scratch();
});
afterAll(() => folder[Symbol.dispose]());

const pageSizes = fc.constantFrom(1024, 4096, 65536);
const blockPlans = fc.array(
  fc.record({ pages: fc.integer({ min: 1, max: 70 }), cut: fc.nat(700) }),
  {
    minLength: 1,
    maxLength: 3,
  },
);
const sendings: fc.Arbitrary<Sending[]> = fc.array(
  fc.record({
    block: fc.nat(2),
    page: fc.oneof(fc.nat(3), fc.nat(69)),
    kind: fc.constantFrom("page" as const, "zero" as const, "xbzrle" as const),
    seed: fc.oneof(fc.constant(0), fc.nat()),
    isNamed: fc.boolean(),
  }),
  { maxLength: 60, size: "max" },
);

test("images are what the records make of them", () => {
  fc.assert(
    fc.property(pageSizes, blockPlans, sendings, (pageSize, plans, sendings) => {
      using subject = new Subject(blocksOf(plans, pageSize), pageSize);
      subject.send(sendings);
      subject.compareImages();
    }),
    { numRuns: 100 },
  );
});

test("counts are the model's", () => {
  fc.assert(
    fc.property(pageSizes, blockPlans, sendings, (pageSize, plans, sendings) => {
      const blocks = blocksOf(plans, pageSize);
      using ram = new Ram(pageSize, 1);
      const model = new RamModel(blocks, pageSize);
      for (const { name, size } of blocks) ram.add(name, size);
      for (const sending of sendings) ram.scan(encodeRecord(model.send(sending)));
      expect(ram.counts).toEqual(model.total);
      expect(blocks.map(({ name }) => ram.countsOf(name))).toEqual(model.ofBlock);
      expect(ram.rounds).toEqual(model.rounds);
    }),
    { numRuns: 100 },
  );
});

test("pages side by side, more than one write takes", () => {
  using subject = new Subject([{ name: "m", size: 1500 * 1024 }], 1024);
  subject.send(Array.from({ length: 1500 }, (_, page) => page).map(pageOf));
  subject.send(Array.from({ length: 600 }, (_, page) => 2 * page).map(pageOf));
  subject.compareImages();
});

test("what is zero is a hole, and not kept", () => {
  using subject = new Subject([{ name: "m", size: 64 * 4096 }], 4096);
  const zeros = Array.from({ length: 64 }, (_, page) => ({ ...pageOf(page), seed: 0 }));
  subject.send(zeros);
  expect(subject.blocks512(0)).toBe(0);
  subject.send([pageOf(3), pageOf(9)]);
  expect(subject.blocks512(0)).toBe(16);
  expect(Buffer.from(subject.ram.kept("m")).readBigUInt64LE()).toBe((1n << 3n) | (1n << 9n));
  subject.send([{ ...pageOf(3), kind: "zero" }]);
  expect(Buffer.from(subject.ram.kept("m")).readBigUInt64LE()).toBe(1n << 9n);
  expect(subject.blocks512(0)).toBe(8);
  subject.compareImages();
});

test("nothing is kept where there is no image", () => {
  using ram = new Ram(1024);
  ram.add("m", 65 * 1024);
  ram.scan(pageRecord(0, 1));
  expect(ram.kept("m").toHex()).toBe("00".repeat(16));
});

test("a block's image may begin anywhere in its file", () => {
  using ram = new Ram(1024);
  ram.add("m", 1000);
  const path = folder.file("base");
  const fd = openSync(path, "w+");
  ram.writeTo("m", fd, 5000);
  ram.scan(encodeRecord({ kind: "page", offset: 0, block: "m", bytes: contents(1, 1024) }));
  closeSync(fd);
  const expected = joined(new Uint8Array(5000), contents(1, 1024).subarray(0, 1000));
  expect(Buffer.compare(readFileSync(path), expected)).toBe(0);
});

test("an image that cannot be written", () => {
  using ram = new Ram(1024);
  ram.add("m", 1 << 20);
  const fd = openSync("/dev/full", "w");
  ram.writeTo("m", fd, 0);
  const page = encodeRecord({ kind: "page", offset: 0, block: "m", bytes: contents(1, 1024) });
  expect(() => ram.scan(page)).toThrow("a RAM image: ENOSPC");
  closeSync(fd);
  // What was not written then is not written later.
  const path = folder.file("later");
  const later = openSync(path, "w+");
  ram.writeTo("m", later, 0);
  ram.scan(encodeRecord({ kind: "zero", offset: 1024, block: "m" }));
  expect(statSync(path).size).toBe(0);
  closeSync(later);
});

describe("XBZRLE", () => {
  test("what it says of a page makes the page", () => {
    const page = fc.uint8Array({ minLength: 1024, maxLength: 1024, size: "max" });
    const edits = fc.array(fc.tuple(fc.nat(1023), fc.nat(300), fc.nat(255)), { maxLength: 20 });
    fc.assert(
      fc.property(page, edits, (before, edits) => {
        const after = before.slice();
        for (const [at, length, byte] of edits) after.fill(byte, at, at + length);
        const encoding = xbzrle(before, after);
        fc.pre(encoding !== undefined);
        expect(Buffer.compare(applied(before, encoding), after)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test.each([16_383, 16_384, 16_385, 32_767, 32_768, 32_769])("%i bytes kept", (kept) => {
    const after = new Uint8Array(65536);
    after[kept] = 1;
    const encoding = xbzrle(new Uint8Array(65536), after) ?? new Uint8Array();
    expect(Buffer.compare(applied(new Uint8Array(65536), encoding), after)).toBe(0);
  });

  test("QEMU's own example", () => {
    const encoding = Uint8Array.fromHex(`e9070f${"0102030405060708090a0b0c0d0e0f"}030167010169`);
    const after = applied(new Uint8Array(1024), encoding);
    const expected = new Uint8Array(1024);
    for (let i = 0; i < 15; i++) expected[1001 + i] = i + 1;
    expected[1019] = 0x67;
    expected[1021] = 0x69;
    expect(after.toHex()).toBe(expected.toHex());
    expect(xbzrle(new Uint8Array(1024), expected)?.toHex()).toBe(encoding.toHex());
  });

  test.each([
    ["a run without a second number", "05"],
    ["a number of three bytes", "808001"],
    ["nothing changed", "0500"],
    ["nothing kept, later", "00014100"],
    ["bytes past the page", "ff0701"],
    ["kept bytes past the page", "ff7f0141"],
    ["changed bytes that are not there", "000341"],
    ["a half number", "0080"],
  ])("refuses %s", (_, hex) => {
    const bytes = Uint8Array.fromHex(hex);
    using ram = new Ram(1024);
    ram.add("m", 1024);
    const record = encodeRecord({ kind: "xbzrle", offset: 0, block: "m", bytes });
    const stopped = { consumed: 0, stop: "badXbzrle", offset: 0, flags: 0x40, block: 0 };
    expect(ram.scan(record)).toEqual(stopped);
    expect(ram.counts).toEqual(none());
  });
});

describe("packets", () => {
  const packetOf = (offsets: readonly (number | bigint)[], normal: number) => ({
    offsets: joined(...offsets.map(u64)),
    pages: normal > 0 ? contents(7, normal * 1024) : undefined,
    normal,
    zero: offsets.length - normal,
  });

  test("pages, and zero pages", () => {
    using subject = new Subject([{ name: "m", size: 8 * 1024 }], 1024);
    expect(subject.ram.takePacket("m", packetOf([1024, 4096, 2048], 2))).toBe(true);
    expect(subject.ram.counts).toEqual({ ...none(), normal: 2, zero: 1, bytes: 2048 });
    const expected = new Uint8Array(8192);
    expected.set(contents(7, 2048).subarray(0, 1024), 1024);
    expected.set(contents(7, 2048).subarray(1024), 4096);
    expect(Buffer.compare(subject.read(0), expected)).toBe(0);
  });

  test.each([
    ["the block's end", 8192],
    ["no page's begin", 1],
    ["the last address", 2n ** 64n - 1024n],
  ])("not at %s", (_, last) => {
    const at = [0, last];
    using subject = new Subject([{ name: "m", size: 8 * 1024 }], 1024);
    expect(subject.ram.takePacket("m", packetOf(at, 2))).toBe(false);
    expect(subject.ram.counts).toEqual(none());
    // Nothing of it is written later either.
    subject.send([pageOf(5)]);
    subject.compareImages();
  });
});

describe("a sample", () => {
  test("few pages are all in it", () => {
    using ram = new Ram(1024, 4);
    ram.add("m", 8 * 1024);
    for (const seed of [5, 6]) ram.scan(pageRecord(0, seed));
    expect(Buffer.compare(ram.sample(), joined(contents(5, 1024), contents(6, 1024)))).toBe(0);
    using none = new Ram(1024, 4);
    expect(none.sample().length).toBe(0);
  });

  test("of many each may be", () => {
    using ram = new Ram(1024, 10);
    ram.add("m", 1024);
    for (let seed = 1; seed <= 1000; seed++) ram.scan(pageRecord(0, seed));
    const hashes = new Map<string, number>();
    for (let seed = 1; seed <= 1000; seed++) hashes.set(contents(seed, 1024).toHex(), seed);
    const sample = Buffer.from(ram.sample());
    const seeds = Array.from({ length: 10 }, (_, i) =>
      hashes.get(sample.toString("hex", i * 1024, (i + 1) * 1024)),
    );
    expect(new Set(seeds).size).toBe(10);
    expect(seeds.filter((seed) => seed !== undefined && seed > 500).length).toBeGreaterThan(1);
    expect(seeds.filter((seed) => seed !== undefined && seed <= 500).length).toBeGreaterThan(1);
  });
});

test.each([1, 10, 100, 1000, 5000, 30_000, 60_000, 120_000])("%i different pages", (count) => {
  using ram = new Ram(1024, 1);
  ram.add("m", 1024);
  const portion = 1000;
  const word = encodeRecord({ kind: "page", offset: 0, block: "m" });
  const records = new Uint8Array(portion * (word.length + 1024));
  const view = new DataView(records.buffer);
  for (let i = 0; i < portion; i++) records.set(word, i * (word.length + 1024));
  for (let done = 0; done < count; done += portion) {
    const some = Math.min(portion, count - done);
    for (let i = 0; i < some; i++)
      view.setUint32(i * (word.length + 1024) + word.length, done + i + 1);
    const bytes = records.subarray(0, some * (word.length + 1024));
    ram.scan(bytes);
    ram.scan(bytes); // the same again is nothing new
  }
  expect(Math.abs(ram.distinct - count)).toBeLessThanOrEqual(count * 0.05);
});

test("zeros are no page of their own", () => {
  using ram = new Ram(1024, 1);
  ram.add("m", 1024);
  ram.scan(pageRecord(0, 0));
  expect(ram.distinct).toBe(0);
  expect(ram.counts).toEqual({ ...none(), normal: 1, empty: 1, bytes: 1024 });
});

test("blocks that cannot be", () => {
  using ram = new Ram(1024);
  expect(ram.add("m", 2 ** 44 + 1)).toContain("more than can be");
  expect(ram.add("m", 1024)).toBeUndefined();
  expect(ram.add("m", 1024)).toBe("which came before");
  expect(ram.add("rest", 2 ** 44)).toContain("more than can be");
  expect(ram.blocks).toEqual(["m"]);
});

test("pages that cannot be", () => {
  for (const pageSize of [0, 1, 512, 1000, 5000, 131_072])
    expect(() => new Ram(pageSize)).toThrow("EINVAL");
});

function pageOf(page: number): Sending {
  return { block: 0, page, kind: "page", seed: page + 1, isNamed: false };
}

function pageRecord(offset: number, seed: number): Uint8Array {
  return encodeRecord({ kind: "page", offset, block: "m", bytes: contents(seed, 1024) });
}

function blocksOf(plans: readonly { pages: number; cut: number }[], pageSize: number) {
  return plans.map(({ pages, cut }, i) => ({ name: `b${i}`, size: pages * pageSize - cut }));
}

/** The page of a block that had `before`, as the encoding leaves it in an image. */
function applied(before: Uint8Array, encoding: Uint8Array): Uint8Array {
  using subject = new Subject([{ name: "m", size: before.length }], before.length);
  const at = { offset: 0, block: "m" };
  subject.ram.scan(encodeRecord({ kind: "page", ...at, bytes: before }));
  subject.ram.scan(encodeRecord({ kind: "xbzrle", ...at, bytes: encoding }));
  return subject.read(0);
}

/** RAM with images, and the model of it. */
class Subject implements Disposable {
  readonly ram: Ram;
  readonly #model: RamModel;
  readonly #paths: string[];
  readonly #fds: number[];

  constructor(blocks: readonly ModelBlock[], pageSize: number) {
    this.ram = new Ram(pageSize);
    this.#model = new RamModel(blocks, pageSize);
    this.#paths = blocks.map(() => folder.file(`image${files++}`));
    this.#fds = this.#paths.map((path) => openSync(path, "w+"));
    for (const [i, { name, size }] of blocks.entries()) {
      const fd = this.#fds[i] ?? -1;
      ftruncateSync(fd, size);
      this.ram.add(name, size);
      this.ram.writeTo(name, fd, 0);
    }
  }

  /** In one piece, so that pages are written together. */
  send(sendings: readonly Sending[]): void {
    const records = joined(...sendings.map((one) => encodeRecord(this.#model.send(one))));
    expect(this.ram.scan(records).consumed).toBe(records.length);
  }

  compareImages(): void {
    for (const i of this.#paths.keys())
      expect(Buffer.compare(this.read(i), this.#model.image(i))).toBe(0);
  }

  read(block: number): Uint8Array {
    return readFileSync(this.#paths[block] ?? "");
  }

  blocks512(block: number): number {
    return statSync(this.#paths[block] ?? "").blocks;
  }

  [Symbol.dispose](): void {
    this.ram[Symbol.dispose]();
    for (const fd of this.#fds) {
      ftruncateSync(fd, 0);
      closeSync(fd);
    }
  }
}
