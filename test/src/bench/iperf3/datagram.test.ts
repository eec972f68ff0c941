import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeHeader,
  headerSize,
  hello,
  helloReply,
  isHello,
  isHelloReply,
  parseHeader,
} from "../../../../src/bench/iperf3/datagram.ts";
import { attempt, refusal } from "./refusal.ts";

describe("the header", () => {
  test.each([
    // -u -l 1000: the first datagram and the third.
    ["0000ad86 0005d9f3 00000001 5b3c2501", false, 44422, 383475, 1],
    ["0000ad86 000618b7 00000003 5b3c2501", false, 44422, 399543, 3],
    // --udp-counters-64bit
    ["0000ada2 00082587 0000000000000001 5c6f66ed", true, 44450, 533895, 1],
    ["0000ada2 00082b80 0000000000000009 5c6f66ed", true, 44450, 535424, 9],
  ])("of iperf3 3.12: %s", (hex, isWide, seconds, microseconds, number) => {
    const datagram = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    const header = { seconds, microseconds, number };
    expect(parseHeader(datagram, isWide)).toEqual(header);
    expect(encodeHeader(header, isWide)).toEqual(datagram.subarray(0, headerSize(isWide)));
  });

  test("parse gives back what was encoded", () => {
    const times = { seconds: fc.nat(0xffffffff), microseconds: fc.nat(0xffffffff) };
    const narrow = fc.record({ ...times, number: fc.nat(0xffffffff) });
    const wide = fc.record({ ...times, number: fc.maxSafeNat() });
    fc.assert(
      fc.property(narrow, wide, fc.uint8Array(), (narrowHeader, wideHeader, rest) => {
        for (const [header, isWide] of [
          [narrowHeader, false],
          [wideHeader, true],
        ] as const) {
          const datagram = Uint8Array.of(9, ...encodeHeader(header, isWide), ...rest).subarray(1);
          expect(parseHeader(datagram, isWide)).toEqual(header);
        }
      }),
    );
  });

  test("a narrow number begins anew after 2^32", () => {
    const bytes = encodeHeader({ seconds: 0, microseconds: 0, number: 2 ** 32 + 5 }, false);
    expect(parseHeader(bytes, false).number).toBe(5);
  });

  test("refused", () => {
    expect(refusal(() => parseHeader(new Uint8Array(11), false))).toContain("12 bytes or more");
    expect(refusal(() => parseHeader(new Uint8Array(15), true))).toContain("16 bytes or more");
    const beyond = Uint8Array.fromHex(`${"00".repeat(8)}0020000000000000`);
    expect(refusal(() => parseHeader(beyond, true))).toContain("found 9007199254740992");
  });

  test("any bytes have a header or are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.boolean(), (bytes, isWide) => {
        const { value } = attempt(() => parseHeader(bytes, isWide));
        if (value !== undefined) expect(Number.isSafeInteger(value.number)).toBe(true);
      }),
    );
  });
});

describe("the greeting of a stream", () => {
  test("as iperf3 3.12 on a little-endian machine has it", () => {
    expect(hello.toHex()).toBe("39383736");
    expect(helloReply.toHex()).toBe("36373839");
  });

  test("old and other machines'", () => {
    const littleEndian = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
    const bigEndian = (value: number) => littleEndian(value).toReversed();
    for (const native of [littleEndian, bigEndian]) {
      expect(isHello(native(0x36373839))).toBe(true);
      expect(isHello(native(123456789))).toBe(true);
      expect(isHelloReply(native(0x39383736))).toBe(true);
      expect(isHelloReply(native(987654321))).toBe(true);
    }
  });

  test("no data is taken for it", () => {
    const data = encodeHeader({ seconds: 0x39383736, microseconds: 0, number: 1 }, false);
    expect(isHello(data)).toBe(false);
    expect(isHelloReply(data)).toBe(false);
    expect(isHello(new Uint8Array(4))).toBe(false);
    expect(isHelloReply(new Uint8Array(0))).toBe(false);
  });
});
