import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Malformed } from "../../../../src/vfio-user/protocol/malformed.ts";
import { codecs } from "./codecs.ts";

describe.each(Object.entries(codecs))("%s", (_, { decode, pairs, encoded }) => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(pairs, ({ bytes, value }) => {
        expect(decode(bytes)).toEqual(value);
      }),
    );
  });

  test("of any bytes, or malformed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120, size: "max" }), (bytes) => {
        survives(decode, bytes);
      }),
      { numRuns: 500 },
    );
  });

  test("changed or cut off, or malformed", () => {
    const edit = fc.record({ at: fc.nat(), byte: fc.constantFrom(0, 1, 2, 0x7f, 0xff) });
    fc.assert(
      fc.property(
        encoded,
        fc.array(edit, { maxLength: 4 }),
        fc.option(fc.nat()),
        (bytes, edits, cut) => {
          for (const { at, byte } of edits) bytes[at % bytes.length] = byte;
          survives(decode, cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** A large value that came of few bytes would show in what is printed of it. */
function survives(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    expect(sizeOf(decode(bytes))).toBeLessThan(100 + 40 * bytes.length);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    expect(error.code).toBe("PROTOCOL");
    expect(error.offset).toBeLessThanOrEqual(0xffff_ffff);
    expect(error.toLine()).toMatch(/^[^\n\p{Cc}]{1,300}$/u);
    expect(error.toLine()).toContain(`expected ${error.expected} at offset 0x`);
  }
}

function sizeOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 8;
  if (value instanceof Uint8Array) return value.length;
  return Object.values(value).reduce<number>((sum, inner) => sum + sizeOf(inner), 8);
}
