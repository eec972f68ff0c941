/** Dirty bitmaps of block devices. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeDirtyBitmaps } from "../../../../src/migration/stream/dirty-bitmap.ts";
import { type FieldValue, Mismatch } from "../../../../src/migration/stream/fields.ts";
import { counted, joined, u8, u32, u64 } from "../../../../src/migration/stream/joined.ts";

interface Chunk {
  readonly flags: number;
  readonly body: Uint8Array;
  readonly fields: { readonly [name: string]: FieldValue };
}

const name = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme-ascii" });
const count = fc.nat(0x7fffffff);

const body: fc.Arbitrary<Chunk> = fc.oneof(
  fc.tuple(count, fc.nat(7)).map(([granularity, flags]) => ({
    flags: 0x10,
    body: joined(u32(granularity), u8(flags)),
    fields: {
      start: {
        granularity,
        enabled: (flags & 1) !== 0,
        persistent: (flags & 2) !== 0,
        autoloading: (flags & 4) !== 0,
      },
    },
  })),
  fc.constant({ flags: 0x20, body: new Uint8Array(), fields: { complete: true } }),
  fc.tuple(count, count).map(([sector, sectors]) => ({
    flags: 0x42,
    body: joined(u64(sector), u32(sectors)),
    fields: { bits: { sector, sectors, zeroes: true } },
  })),
  fc.tuple(count, count, fc.uint8Array({ maxLength: 64 })).map(([sector, sectors, bytes]) => ({
    flags: 0x40,
    body: joined(u64(sector), u32(sectors), u64(bytes.length), bytes),
    fields: { bits: { sector, sectors, bytes: bytes.toHex() } },
  })),
);

const chunk = fc.tuple(fc.option(name), fc.option(name), body).map(
  ([node, bitmap, { flags, body, fields }]): Chunk => ({
    flags: flags | (node === null ? 0 : 8) | (bitmap === null ? 0 : 4),
    body: joined(
      ...(node === null ? [] : [counted(node)]),
      ...(bitmap === null ? [] : [counted(bitmap)]),
      body,
    ),
    fields: { ...(node !== null && { node }), ...(bitmap !== null && { bitmap }), ...fields },
  }),
);

function encode(chunks: readonly Chunk[]): Uint8Array {
  return joined(...chunks.map(({ flags, body }) => joined(u8(flags), body)), u8(1));
}

test("chunks, up to the end", () => {
  fc.assert(
    fc.property(fc.array(chunk), (chunks) => {
      const decoded = decodeDirtyBitmaps(encode(chunks));
      expect(decoded).toEqual({ chunks: chunks.map(({ fields }) => fields) });
    }),
  );
});

test("any bytes are chunks, or a mismatch", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        decodeDirtyBitmaps(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Mismatch);
      }
    }),
  );
});

test.each([
  [u8(0x80), "flags of more than a byte"],
  [u8(0x08), "its last chunk is not whole"],
  [joined(u8(0x40), u64(0), u32(1), u64(2 ** 60)), "its last chunk is not whole"],
  [joined(u8(1), u8(0)), "1 bytes behind its end"],
])("refused: %#", (bytes, reason) => {
  expect(() => decodeDirtyBitmaps(bytes)).toThrow(`dirty-bitmap: ${reason}`);
});
