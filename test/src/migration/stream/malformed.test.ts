/** What is no stream: refused in one line that says where, and in bounded time and memory. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ZcError } from "../../../../src/errors.ts";
import { Ram } from "../../../../src/migration/ram/ram.ts";
import type { Block } from "../../../../src/migration/stream/elements.ts";
import { encodeBlock, encodeSizes } from "../../../../src/migration/stream/encode-ram.ts";
import { counted, joined, u8, u16, u32, u64 } from "../../../../src/migration/stream/joined.ts";
import { refusalsOf } from "../../refusal.ts";
import { streams } from "../generate.ts";
import { page } from "../hand-made.ts";
import { parse, parseAlone } from "../parse.ts";
import { encodeRecord } from "../records.ts";

const { refusal: protocol } = refusalsOf("PROTOCOL", 500);
const { refusal: truncation } = refusalsOf("TRUNCATED", 500);

const header = Uint8Array.fromHex("5145564d00000003");
const eof = u8(0);
const endOfRam = encodeRecord({ kind: "end" });
const ramHeader = joined(u8(1), u32(3), counted("ram"), u32(0), u32(4));
const ramEnd = joined(endOfRam, footerOf(3));

describe("malformed", () => {
  test.each([
    [
      "another file",
      text("\x7fELF0000"),
      '0x0: expected a migration stream\'s "QEVM", found 0x7f45',
    ],
    [
      "multifd's channel",
      Uint8Array.fromHex("1122334400000001"),
      "the main channel has the stream",
    ],
    ["an old version", Uint8Array.fromHex("5145564d00000002"), "0x4: expected version 3, found 2"],
    ["no section", stream(u8(0x20)), "0x8: expected a section's type, found 0x20"],
    ["a footer alone", stream(footerOf(3)), "0x8: expected a section's type, found 0x7e"],
    [
      "a configuration that comes late",
      stream(command(1), configuration()),
      "0xd: expected a section's type, found 0x7",
    ],
    [
      "a machine's name of 4 GiB",
      stream(u8(7), u32(2 ** 32 - 1)),
      "0x9: expected a machine's name, found 4294967295 bytes",
    ],
    [
      "a machine's name that is no text",
      stream(u8(7), u32(2), Uint8Array.of(0xff, 0xfe)),
      "0xd: expected a name, found 2 bytes that are no text: fffe",
    ],
    ["another subsection", configured("other", u32(1)), 'found "configuration/other" of version 1'],
    ["what JavaScript has", configured("constructor"), 'found "configuration/constructor" of'],
    ["what JavaScript has, too", configured("__proto__"), 'found "configuration/__proto__" of'],
    [
      "a subsection twice",
      stream(
        configuration(),
        subsection("target-page-bits", u32(12)),
        subsection("target-page-bits", u32(12)),
      ),
      "0x37: expected each subsection once, in order, found target-page-bits",
    ],
    [
      "pages of 2 GiB",
      configured("target-page-bits", u32(31)),
      "10 to 16 bits of a page, found 0x1f",
    ],
    [
      "other pages",
      configured("target-page-bits", u32(16)),
      "pages of 4096, found of 65536; --page-size",
    ],
    [
      "capabilities without end",
      configured("capabilities", u32(2 ** 31)),
      "expected a few capabilities, found 2147483648",
    ],
    [
      "PART before START",
      stream(u8(2), u32(7)),
      "0x8: expected a section that has started, found section 7",
    ],
    [
      "RAM of another version",
      stream(u8(1), u32(3), counted("ram"), u32(0), u32(3)),
      "0x19: expected RAM of version 4, found 3",
    ],
    [
      "another's footer",
      ram(endOfRam, footerOf(4)),
      '0x21: expected the footer of section 3 ("ram"), found section 4\'s',
    ],
    [
      "footers that stop",
      stream(ramHeader, ramEnd, u8(3), u32(3), endOfRam, eof),
      "0x33: expected the footer of section 3, found none",
    ],
    [
      "footers that begin late",
      stream(ramHeader, endOfRam, u8(3), u32(3), ramEnd, eof),
      "0x2e: expected a section's type, found 0x7e",
    ],
    ["no command", stream(command(99)), "0x8: expected a command, found number 99"],
    [
      "a package of no length",
      stream(command(7, new Uint8Array(60_000))),
      "0x8: expected a package's length, found 60000 bytes",
    ],
    [
      "a package in a package",
      stream(command(7, u32(100)), command(7, u32(1)), eof),
      "0x11: expected a package in no other, found one in a package",
    ],
    [
      "a package that ends in an element",
      stream(command(7, u32(3)), command(4), eof),
      "0x11: expected the element's end before its package's, found the package's end at 0x14",
    ],
    [
      "a package that ends in a device",
      stream(
        command(7, u32(24)),
        u8(4),
        u32(5),
        counted("d"),
        u32(0),
        u32(1),
        new Uint8Array(40),
        footerOf(5),
        eof,
      ),
      "expected the element's end before its package's, found the package's end at 0x29",
    ],
    [
      "too long a description",
      stream(eof, u8(6), u32(2 ** 31)),
      "0x9: expected a description, found one of 2147483648 bytes",
    ],
    [
      "RAM of 16 EiB",
      ram(u64(0xffff_ffff_ffff_f004n)),
      "0x19: expected at most 0x100000000000 bytes of RAM, found the word 0xfffffffffffff004",
    ],
    [
      "a block of no name",
      list({ name: "", size: 4096 }),
      "0x21: expected a RAM block's name, found none",
    ],
    [
      "a block of no bytes",
      list({ name: "a", size: 0 }),
      '0x21: expected blocks of 0x2000 bytes together, found "a" of 0x0',
    ],
    [
      "more than they are together",
      list({ name: "a", size: 8193 }),
      '0x2000 bytes together, found "a" of 0x2001',
    ],
    [
      "a block's size past all",
      ram(encodeSizes(8192), counted("a"), u64(2n ** 63n)),
      "0x23: expected a RAM block's size, found 0x8000000000000000",
    ],
    [
      "a block twice",
      list({ name: "a", size: 4096 }, { name: "a", size: 4096 }),
      '0x2b: expected a RAM block, found "a", which came before',
    ],
    [
      "a block of another size, later",
      stream(
        ramHeader,
        encodeSizes(4096),
        encodeBlock({ name: "a", size: 4096 }),
        ramEnd,
        ramHeader,
        encodeSizes(8192),
        encodeBlock({ name: "a", size: 8192 }),
      ),
      'expected a RAM block, found "a", of 0x2000 bytes, which had 0x1000',
    ],
    [
      "a block's name that is no text",
      ram(encodeSizes(4096), u8(1), u8(0xff), u64(4096)),
      "expected a name, found 1 bytes that are no text: ff",
    ],
    [
      "a page of no block",
      ram(encodeRecord({ kind: "zero", offset: 0 })),
      "0x19: expected a RAM record that names its block, found flags 0x22, page 0x0",
    ],
    [
      "a page of another block",
      ram(encodeRecord({ kind: "zero", offset: 4096, block: "b" })),
      "0x19: expected a RAM block of the list, found flags 0x2, page 0x1000",
    ],
    [
      "a page past its block",
      records(u64(0x2002), counted("a"), u8(0)),
      "0x2b: expected a page in its block, found flags 0x2, page 0x2000",
    ],
    [
      "the last page there is",
      records(u64(0xffff_ffff_ffff_f002n), counted("a"), u8(0)),
      "found flags 0x2, page 0xfffffffffffff000",
    ],
    [
      "a page of ones",
      records(u64(2), counted("a"), u8(1)),
      "0x2b: expected a page of zeros, found flags 0x2, page 0x0",
    ],
    [
      "no encoding",
      records(u64(0x40), counted("a"), u8(1), u16(1), u8(5)),
      "0x2b: expected an XBZRLE encoding, found flags 0x40",
    ],
    [
      "an encoding longer than a page",
      records(u64(0x40), counted("a"), u8(1), u16(4097)),
      "expected an XBZRLE encoding",
    ],
    [
      "another encoding",
      records(u64(0x40), counted("a"), u8(2), u16(1)),
      "expected an XBZRLE encoding",
    ],
    [
      "no flags",
      records(u64(0x1000)),
      "0x2b: expected a RAM record's flags, found flags 0x0, page 0x1000",
    ],
    ["a page of 2009", records(u64(1)), "found flags 0x1, page 0x0: a page of 2009's form"],
    ["two kinds at once", records(u64(0x0a)), "found flags 0xa, page 0x0"],
    ["RDMA", records(u64(0x80)), "RDMA's registration, which no file can have"],
    [
      "a compressed page of 1 MiB",
      records(u64(0x100), counted("a"), u32(1 << 20)),
      "expected a compressed page, found 1048576 bytes",
    ],
    [
      "a compressed page that is none",
      records(u64(0x100), counted("a"), u32(4), text("zlib")),
      "expected a page compressed by zlib, found other bytes",
    ],
    [
      "mapped-ram of version 2",
      mapped({ version: 2 }),
      "expected mapped-ram of version 1, found 2",
    ],
    [
      "mapped pages of another size",
      mapped({ pageSize: 65536 }),
      "expected mapped-ram's pages of 4096, found of 65536; --page-size 65536",
    ],
    [
      "a bitmap that was before",
      mapped({ bitmapOffset: 5 }),
      'expected a bitmap of "m" further on, found them at 0x5',
    ],
    [
      "pages that were before",
      mapped({ bitmapOffset: 5000, pagesOffset: 4096 }),
      'expected pages of "m" further on, found them at 0x1000',
    ],
    [
      "pages in the bitmap",
      mapped({ bitmapOffset: 4090, pagesOffset: 4096 }),
      'expected pages of "m" further on, found them at 0x1000',
    ],
    [
      "pages that are not aligned",
      mapped({ pagesOffset: 4097 }),
      "expected the offset of pages, a multiple of their size, found 0x1001",
    ],
    ...(["page", "zero", "xbzrle"] as const).map((kind): [string, Uint8Array, string] => [
      `mapped-ram, and a record: ${kind}`,
      mappedWith(encodeRecord({ kind, offset: 4096, block: "m", bytes: page })),
      "expected a list of mapped-ram's blocks, or its end, found the word 0x10",
    ]),
    [
      "mapped-ram, and the end of a round",
      mappedWith(encodeRecord({ kind: "flush" })),
      "expected a list of mapped-ram's blocks, or its end, found the word 0x200",
    ],
    [
      "a bitmap past all",
      mapped({ bitmapOffset: 2 ** 60 }),
      "expected the offset of a bitmap, found 0x1000000000000000",
    ],
    [
      "a bitmap of 512 MiB",
      mapped({ size: 2 ** 44 }),
      "expected a bitmap, found one of 536870912 bytes",
    ],
    ["no tag of VFIO's", vfio(u64(1)), "expected a tag of VFIO's, found 0x1"],
    [
      "too much of VFIO's",
      vfio(u64(0xffffffffef100004n), u64(2 ** 40)),
      "at most 1 GiB of a device's data, found 0x10000000000",
    ],
    [
      "a long name that is no letters",
      stream(configuration(), u8(5), counted("\u202e".repeat(85)), u32(1)),
      "…",
    ],
  ])("%s", (_, bytes, message) => {
    for (const cuts of [[], Array.from(bytes.subarray(0, 300), (_, index) => index)])
      expect(protocol(() => parseAlone(bytes, cuts))).toContain(message);
    expect(protocol(() => parseAlone(bytes))).toMatch(
      /: read the stream at offset 0x|\] read the stream at offset 0x/,
    );
  });
});

describe("truncated", () => {
  test.each([
    ["nothing", new Uint8Array(), "0x0: expected a header, found its end"],
    ["half a header", header.subarray(0, 5), "0x5: expected a header, found its end"],
    ["a header", header, "0x8: expected a section, or the stream's end, found its end"],
    [
      "a section's header",
      stream(ramHeader.subarray(0, 9)),
      "0x11: expected a section, or the stream's end",
    ],
    ["RAM", ram(u64(0x1008)), '0x21: expected the rest of section 3 ("ram"), found its end'],
    ["before the footer", ram(endOfRam), 'expected the rest of section 3 ("ram"), found its end'],
    ["before the end", ram(ramEnd), "expected a section, or the stream's end, found its end"],
    [
      "a device",
      stream(u8(4), u32(5), counted("\x01".repeat(255)), u32(0), u32(1), new Uint8Array(600)),
      "…",
    ],
    [
      "a description",
      stream(eof, u8(6), u32(5), text("{")),
      "0xf: expected a description of 5 bytes, found its end",
    ],
    ["a description's length", stream(eof, u8(6), u16(0)), "found its end"],
    ["a package", stream(command(7, u32(9)), command(4)), "found its end"],
  ])("%s", (_, bytes, message) => {
    expect(truncation(() => parseAlone(bytes))).toContain(message);
  });
});

describe("unusual, and right", () => {
  test.each([
    ["nothing but an end", stream(eof)],
    ["an empty description", stream(eof, u8(6), u32(0))],
    ["an empty package", stream(command(7, u32(0)), eof)],
    ["a package at the end of a window", stream(command(7, u32(5)), command(4), eof)],
    ["a package with an end of its own", stream(command(7, u32(1)), eof, eof)],
    ["a configuration of nothing", stream(u8(7), u32(0), eof)],
    ["an empty RAM section", stream(ramHeader, ramEnd, eof)],
    ["an empty list", ram(encodeSizes(0), ramEnd, eof)],
    ["an empty device", stream(device(5, "d"), eof)],
    ["an id used again", stream(device(5, "d"), device(5, "e"), u8(2), u32(5), footerOf(5), eof)],
    [
      "RAM started twice",
      stream(
        ramHeader,
        listOf({ name: "a", size: 4096 }),
        ramEnd,
        ramHeader,
        listOf({ name: "a", size: 4096 }),
        ramEnd,
        eof,
      ),
    ],
    ["a name of 255 bytes", stream(device(5, "n".repeat(255)), device(6, "d"), eof)],
    [
      "the same block as in the section before",
      records(u64(2), counted("a"), u8(0), ramEnd, u8(2), u32(3), u64(0x22), u8(0), ramEnd, eof),
    ],
    ["zeros behind the end", stream(ramHeader, ramEnd, eof, new Uint8Array(1000))],
    [
      "a postcopy list of small pages",
      stream(
        command(3, new Uint8Array(16)),
        ramHeader,
        listOf({ name: "a", size: 4096 }),
        ramEnd,
        eof,
      ),
    ],
    [
      "a postcopy list of huge pages",
      stream(
        command(3, new Uint8Array(16)),
        ramHeader,
        listOf({ name: "a", size: 2 << 20, pageSize: 2 << 20 }),
        ramEnd,
        eof,
      ),
    ],
    [
      "0x7e at the end of a device",
      stream(device(5, "d", Uint8Array.of(0x7e, 0, 0, 0x7e, 0, 0, 0, 6, 0x7e)), eof),
    ],
  ])("%s", (_, bytes) => {
    const { encoded, elements } = parseAlone(bytes);
    expect(Buffer.from(encoded).toString("hex")).toBe(bytes.toHex());
    const cuts = Array.from(bytes, (_, index) => index);
    expect(parseAlone(bytes, cuts).elements).toEqual(elements);
  });
});

describe("any bytes", () => {
  test("at random", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300, size: "max" }),
        fc.boolean(),
        (bytes, isStream) => {
          survives(isStream ? stream(bytes) : bytes);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("streams that were changed", () => {
    const edit = fc.record({
      kind: fc.constantFrom("flip", "delete", "insert", "truncate"),
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
    });
    fc.assert(
      fc.property(streams, fc.array(edit, { minLength: 1, maxLength: 4 }), (stream, edits) => {
        survives(edits.reduce(changed, stream.bytes), stream.pageSize);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["footers", (count: number) => repeated(footerOf(5), count / 5)],
    ["0x7e", (count: number) => new Uint8Array(count).fill(0x7e)],
    [
      "subsections",
      (count: number) => repeated(subsection("uuid", new Uint8Array(16)), count / 30),
    ],
    [
      "descriptions",
      (count: number) => repeated(joined(u8(6), u32(count / 2), text("{")), count / 6),
    ],
  ])("many %s take little time", (_, make) => {
    const begin = performance.now();
    for (const prefix of [
      stream(u8(4), u32(5), counted("d"), u32(0), u32(1)),
      stream(configuration()),
    ])
      survives(joined(prefix, make(4 << 20)));
    const withoutFooters = stream(ramHeader, endOfRam, device(5, "d"));
    survives(joined(withoutFooters, make(4 << 20)));
    expect(performance.now() - begin).toBeLessThan(15_000);
  });
});

test("VFIO's records without end", () => {
  const records = repeated(joined(u64(0xffffffffef100004n), u64(0)), (1 << 20) + 1);
  expect(protocol(() => parseAlone(vfio(records)))).toContain(
    "a VFIO section's end, found too many",
  );
});

/** Taken, or refused as it should be. */
function survives(bytes: Uint8Array, pageSize = 4096): void {
  using ram = new Ram(pageSize);
  const half = Math.floor(bytes.length / 2);
  try {
    expect(parse(bytes, ram, [half, bytes.length]).encoded.length).toBe(bytes.length);
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    expect(["PROTOCOL", "TRUNCATED"]).toContain(error.code);
    expect(error.toLine()).toMatch(/^[^\n\p{Cc}]{1,499}$/u);
    expect(error.toLine()).toMatch(/at offset 0x[0-9a-f]+: expected .*, found /);
  }
}

interface Edit {
  readonly kind: string;
  readonly place: number;
  readonly bytes: Uint8Array;
}

function changed(stream: Uint8Array, { kind, place, bytes }: Edit): Uint8Array {
  const at = Math.floor(place * stream.length);
  const [before, after] = [stream.subarray(0, at), stream.subarray(at)];
  if (kind === "truncate") return before;
  if (kind === "delete") return joined(before, after.subarray(bytes.length));
  if (kind === "insert") return joined(before, bytes, after);
  return joined(
    before,
    after.subarray(0, 1).map((byte) => byte ^ (bytes[0] ?? 0)),
    after.subarray(1),
  );
}

function stream(...parts: readonly Uint8Array[]): Uint8Array {
  return joined(header, ...parts);
}

function ram(...parts: readonly Uint8Array[]): Uint8Array {
  return stream(ramHeader, ...parts);
}

function listOf(...blocks: readonly Block[]): Uint8Array {
  const bytes = blocks.reduce((sum, { size }) => sum + size, 0);
  return joined(encodeSizes(bytes), ...blocks.map(encodeBlock));
}

/** Of 8192 bytes, whatever the blocks say. */
function list(...blocks: readonly Block[]): Uint8Array {
  return ram(encodeSizes(8192), ...blocks.map(encodeBlock));
}

/** Behind a list of the block "a" of 8192 bytes. */
function records(...parts: readonly Uint8Array[]): Uint8Array {
  return stream(ramHeader, listOf({ name: "a", size: 8192 }), ...parts);
}

/** Pages at their places, and more. */
function mappedWith(record: Uint8Array): Uint8Array {
  const pages = mapped({}).subarray(0, 8192);
  return joined(pages, record, ramEnd);
}

function mapped(changes: object): Uint8Array {
  const place = { version: 1, pageSize: 4096, bitmapOffset: 144, pagesOffset: 4096, ...changes };
  const { size = 4096 } = changes as { size?: number };
  const capable = [subsection("capabilities", u32(1), counted("mapped-ram")), ramHeader];
  const block = { name: "m", size, mapped: place };
  return stream(configuration(), ...capable, listOf(block), new Uint8Array(9000));
}

function vfio(...parts: readonly Uint8Array[]): Uint8Array {
  return stream(u8(1), u32(9), counted("0000:00:02.0/vfio"), u32(0), u32(1), ...parts);
}

function device(id: number, name: string, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  return joined(u8(4), u32(id), counted(name), u32(0), u32(1), bytes, footerOf(id));
}

function configuration(): Uint8Array {
  return joined(u8(7), u32(2), text("pc"));
}

function configured(name: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return stream(configuration(), subsection(name, ...fields), eof);
}

function subsection(name: string, ...fields: readonly Uint8Array[]): Uint8Array {
  return joined(u8(5), counted(`configuration/${name}`), u32(1), ...fields);
}

function command(number: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  return joined(u8(8), u16(number), u16(data.length), data);
}

function footerOf(id: number): Uint8Array {
  return joined(u8(0x7e), u32(id));
}

function text(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function repeated(bytes: Uint8Array, count: number): Uint8Array {
  return Buffer.concat(Array.from({ length: Math.floor(count) }, () => bytes));
}
