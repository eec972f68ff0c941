import fc from "fast-check";
import { expect, test } from "vitest";
import { hexdump } from "../../src/hexdump.ts";

test("sixteen bytes a line, with what of them is text", () => {
  const bytes = Uint8Array.from({ length: 18 }, (_, index) => (index < 2 ? index : 0x40 + index));
  expect(hexdump(bytes, 0x1000n)).toEqual([
    "00001000  00 01 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f |..BCDEFGHIJKLMNO|",
    "00001010  50 51                                            |PQ|",
  ]);
  expect(hexdump(new Uint8Array())).toEqual([]);
});

test("every byte is in it, in its order, and nothing that a terminal would act on", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.bigInt({ min: 0n, max: 1n << 63n }),
      (bytes, offset) => {
        const lines = hexdump(bytes, offset);
        const digits = lines.map((line) =>
          (/ {2}([^|]*) \|/.exec(line)?.[1] ?? "").replaceAll(" ", ""),
        );
        expect(digits.join("")).toBe(bytes.toHex());
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(lines.join("")).not.toMatch(/[\u0000-\u001f\u007f-\u00ff]/);
      },
    ),
  );
});
