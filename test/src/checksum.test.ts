import fc from "fast-check";
import { expect, test } from "vitest";
import { formatChecksum, parseExpected } from "../../src/checksum.ts";
import { attempt, refusal } from "./refusal.ts";

const emptyXxh3 = "2d06800538d394c2";
const emptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test.each([
  [`xxh3:${emptyXxh3}`, "xxh3", emptyXxh3],
  [`XXH3:${emptyXxh3.toUpperCase()}`, "xxh3", emptyXxh3],
  [`sha256:${emptySha256}`, "sha256", emptySha256],
])("%s", (text, algorithm, hex) => {
  expect(parseExpected(text)).toEqual({ algorithm, hex });
});

test.each([
  ["", '--expect: "" is not ALGORITHM:HEX; for example xxh3:2d06800538d394c2'],
  [emptyXxh3, "is not ALGORITHM:HEX"],
  [`md5:${emptyXxh3}`, '"md5" is none of xxh3, sha256'],
  [`constructor:${emptyXxh3}`, '"constructor" is none of'],
  [`xxh3:${emptySha256}`, "xxh3 has 16 hexadecimal digits"],
  [`sha256:${emptyXxh3}`, "sha256 has 64 hexadecimal digits"],
  ["xxh3:2d06800538d394cg", 'not "2d06800538d394cg"'],
  [`xxh3:${emptyXxh3}\n`, "xxh3 has 16 hexadecimal digits"],
])("refuses %j", (text, message) => {
  expect(refusal(() => parseExpected(text))).toContain(message);
});

test("parse gives back what was formatted", () => {
  const xxh3 = fc.tuple(
    fc.constant("xxh3" as const),
    fc.uint8Array({ minLength: 8, maxLength: 8 }),
  );
  const sha256 = fc.tuple(
    fc.constant("sha256" as const),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
  );
  fc.assert(
    fc.property(fc.oneof(xxh3, sha256), ([algorithm, bytes]) => {
      const { hex, ...rest } = parseExpected(formatChecksum(algorithm, bytes));
      expect(rest).toEqual({ algorithm });
      expect(Uint8Array.fromHex(hex)).toEqual(bytes);
    }),
  );
});

test("arbitrary text is a checksum or a usage error", () => {
  const piece = fc.constantFrom("xxh3", "sha256", ":", emptyXxh3, emptySha256, "g", "\u001b");
  const pieces = fc.array(piece, { maxLength: 4 }).map((all) => all.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), pieces), (text) => {
      attempt(() => parseExpected(text));
    }),
    { numRuns: 1000 },
  );
});
