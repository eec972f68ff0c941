import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeFrame,
  frameHeaderSize,
  frameLength,
  parseBody,
} from "../../../../src/bench/iperf3/frame.ts";
import { attempt, bytesOf, refusal } from "./refusal.ts";

const kind = { name: "parameters", max: 64 };

test("the layout: iperf3 3.12 writes four bytes of length, then the text", () => {
  const frame = encodeFrame(kind, { tcp: true, omit: 0 });
  expect(Buffer.from(frame).toString("latin1")).toBe('\0\0\0\x15{"tcp":true,"omit":0}');
  expect(frameLength(kind, Uint8Array.of(0, 0, 0, 0x15))).toBe(21);
});

test("parse gives back what was encoded", () => {
  const large = { name: "results", max: 1 << 20 };
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const frame = encodeFrame(large, value);
      const length = frameLength(large, frame.subarray(0, frameHeaderSize));
      const body = frame.subarray(frameHeaderSize);
      expect(length).toBe(body.length);
      expect(parseBody(large, body)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test.each([
  [() => frameLength(kind, bytesOf("HTTP")), "length: expected 1 to 64, found 1213486160"],
  [() => frameLength(kind, Uint8Array.of(0, 0, 0, 65)), "expected 1 to 64, found 65"],
  [() => frameLength(kind, Uint8Array.of(0, 0, 0, 0)), "expected 1 to 64, found 0"],
  [() => frameLength(kind, Uint8Array.of(0, 0, 0)), "length: expected 4 bytes, found 3"],
  [() => encodeFrame(kind, { title: "x".repeat(64) }), "expected 1 to 64, found 76"],
  [() => parseBody(kind, bytesOf("x".repeat(65))), "expected 1 to 64, found 65"],
  [() => parseBody(kind, bytesOf("{\x1b[31m")), String.raw`expected JSON, found "{\u{1b}[31m"`],
  [() => parseBody(kind, bytesOf('{"tcp":true} ,')), 'found "{"tcp":true} ,"'],
])("refused: %s", (action, line) => {
  expect(refusal(action)).toContain(line);
});

test("text that is no UTF-8 is text all the same", () => {
  const latin1 = Buffer.from('{"title":"f\xfcr"}', "latin1");
  expect(parseBody(kind, latin1)).toEqual({ title: "f\ufffdr" });
});

test("brackets without end are refused", () => {
  const deep = { name: "results", max: 1 << 20 };
  expect(refusal(() => parseBody(deep, bytesOf("[".repeat(1 << 20))))).toContain("expected JSON");
});

test("any bytes are a length or refused, are JSON or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const { value } = attempt(() => frameLength(kind, bytes));
      if (value !== undefined) expect(value).toBeLessThanOrEqual(kind.max);
      attempt(() => parseBody(kind, bytes));
    }),
  );
});
