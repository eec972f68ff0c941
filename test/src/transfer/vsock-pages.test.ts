/** The layout of the proposal for vsock's zero-copy receive. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeVsockPages } from "../../../src/transfer/vsock-pages.ts";

const pageSize = 4096;
const headersMax = (pageSize - 8) / 8;

function headersOf(lengths: readonly number[]): Uint8Array {
  const page = new Uint8Array(pageSize);
  const view = new DataView(page.buffer);
  view.setUint32(4, lengths.length, true);
  for (const [index, length] of lengths.entries()) view.setUint32(8 + 8 * index, length, true);
  return page;
}

test("packets of 56, 4096 and 8200 bytes are page 1, page 2, and pages 3 to 5", () => {
  expect(decodeVsockPages(headersOf([56, 4096, 8200]), 6)).toEqual([
    { bytes: 56, flags: 0, firstPage: 1, pages: 1 },
    { bytes: 4096, flags: 0, firstPage: 2, pages: 1 },
    { bytes: 8200, flags: 0, firstPage: 3, pages: 3 },
  ]);
});

test("packets follow one another without a gap, and fill what they say", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 1 << 20 }), { maxLength: headersMax });
  fc.assert(
    fc.property(lengths, (given) => {
      const packets = decodeVsockPages(headersOf(given), Number.MAX_SAFE_INTEGER);
      expect(packets.map(({ bytes }) => bytes)).toEqual(given);
      let next = 1;
      for (const { bytes, firstPage, pages } of packets) {
        expect(firstPage).toBe(next);
        expect(pages * pageSize).toBeGreaterThanOrEqual(bytes);
        expect((pages - 1) * pageSize).toBeLessThan(bytes);
        next += pages;
      }
    }),
  );
});

test("whatever the page has in it, no packet lies beyond what is mapped", () => {
  const page = fc.uint8Array({ minLength: pageSize, maxLength: pageSize });
  fc.assert(
    fc.property(page, fc.integer({ min: 1, max: 5000 }), (headers, mapped) => {
      try {
        for (const { firstPage, pages } of decodeVsockPages(headers, mapped))
          expect(firstPage + pages).toBeLessThanOrEqual(mapped);
      } catch (error) {
        expect(error).toMatchObject({ code: "PROTOCOL" });
      }
    }),
  );
});
