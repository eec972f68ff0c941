import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, parseIp, splitZone } from "../../../src/address/ip.ts";

test.each([
  ["::", "::"],
  ["::1", "::1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["10:0:0:1:0:0:0:1", "10:0:0:1::1"],
  ["1:0:0:0:0:0:0:0", "1::"],
  ["0:0:0:0:0:0:0:10", "::10"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
  ["::ffff:a00:1", "::ffff:10.0.0.1"],
  ["::10.0.0.1", "::a00:1"],
  ["0.0.0.0", "0.0.0.0"],
])("%s is %s in RFC 5952's words", (text, canonical) => {
  const bytes = parseIp(text);
  expect(bytes && formatIp(bytes)).toBe(canonical);
});

test.each([
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "::ffff:01.2.3.4",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8::",
  "1::2::3",
  ":::",
  "::10000",
  "::g",
  "::1.2.3.4:5",
  "::1%eth0",
])("%s is no address", (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test("the bytes are in network order", () => {
  expect(parseIp("192.0.2.1")).toEqual(Uint8Array.of(192, 0, 2, 1));
  const documentation = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa, 0xb);
  expect(parseIp("2001:db8::a0b")).toEqual(documentation);
});

test("what is an address, node:net says too", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), nearlyIp), (text) => {
      const version = { 4: 4, 16: 6 }[parseIp(text)?.length ?? 0] ?? 0;
      expect(version).toBe(isIP(text));
    }),
    { numRuns: 5000 },
  );
});

test("format, then parse, gives the bytes back; and no shorter text does", () => {
  fc.assert(
    fc.property(fc.oneof(ipBytes(4), ipBytes(16)), (bytes) => {
      const text = formatIp(bytes);
      expect(parseIp(text)).toEqual(bytes);
      if (bytes.length === 4 || text.startsWith("::ffff:")) return;
      expect(text).toBe(new URL(`http://[${text}]`).hostname.slice(1, -1));
    }),
    { numRuns: 1000 },
  );
});

test("a zone follows the first %", () => {
  expect(splitZone("fe80::1%eth0")).toEqual({
    address: "fe80::1",
    zone: "eth0",
  });
  expect(splitZone("fe80::1%a%b")).toEqual({ address: "fe80::1", zone: "a%b" });
  expect(splitZone("fe80::1")).toEqual({ address: "fe80::1" });
});

const piece = fc.constantFrom(":", "::", ".", "0", "00", "1", "255", "256", "ffff", "10000", "g");
const nearlyIp = fc.array(piece, { maxLength: 17 }).map((pieces) => pieces.join(""));

/** With many zeros, for the runs that are left out. */
function ipBytes(length: number): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(255));
  return fc
    .array(byte, { minLength: length, maxLength: length })
    .map((bytes) => Uint8Array.from(bytes));
}
