import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeGeneric, encodeGeneric } from "../../../src/netlink/generic.ts";
import {
  bytesOf,
  decodeAttributes,
  decodeMessages,
  encodeAttributes,
  encodeMessage,
  nestAttribute,
  nestOf,
  numberOf,
  textAttribute,
  textOf,
  u32Attribute,
} from "../../../src/netlink/message.ts";
import { collectReplies, replyType } from "../../../src/netlink/replies.ts";
import { refusalsOf } from "../refusal.ts";
import { arbitraryAttribute, arbitraryBytes, arbitraryMessage } from "./arbitrary.ts";

const { attempt, refusal } = refusalsOf("PROTOCOL");

describe("layout", () => {
  test.each([
    [
      "a message",
      encodeMessage({
        type: 0x10,
        flags: 5,
        sequence: 7,
        port: 0,
        payload: Uint8Array.of(1, 2, 3),
      }),
      "13000000 1000 0500 07000000 00000000 010203 00",
    ],
    ["a number", encodeAttributes([u32Attribute(2, 258)]), "0800 0200 02010000"],
    ["a text", encodeAttributes([textAttribute(3, "lo")]), "0700 0300 6c6f00 00"],
    [
      "a nest",
      encodeAttributes([nestAttribute(1, [u32Attribute(2, 1)])]),
      "0c00 0180 0800 0200 01000000",
    ],
    ["a command", encodeGeneric(15, [textAttribute(1, "")]), "0f010000 0500 0100 00 000000"],
  ])("%s", (_, bytes, hex) => {
    expect(bytes.toHex()).toBe(hex.replaceAll(" ", ""));
  });
});

test("messages come back as they were, one behind the other", () => {
  fc.assert(
    fc.property(fc.array(arbitraryMessage, { maxLength: 8 }), (messages) => {
      expect(decodeMessages(join(messages.map(encodeMessage)))).toEqual(messages);
    }),
  );
});

test("attributes come back as they were, and commands with them", () => {
  fc.assert(
    fc.property(fc.array(arbitraryAttribute, { maxLength: 8 }), fc.nat(255), (all, command) => {
      expect(decodeAttributes(encodeAttributes(all))).toEqual(all);
      expect(decodeGeneric(encodeGeneric(command, all))).toEqual(all);
      expect(nestOf(decodeAttributes(encodeAttributes([nestAttribute(1, all)])), 1)).toEqual(all);
    }),
  );
});

test("numbers and texts come back, and what has another size is no number", () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.string().filter(isText), (number, text) => {
      const all = [u32Attribute(1, number), textAttribute(2, text)];
      expect(numberOf(all, 1)).toBe(number);
      expect(textOf(all, 2)).toBe(text);
      expect([numberOf(all, 3), textOf(all, 3), bytesOf(all, 3)]).toEqual(Array(3).fill(undefined));
    }),
  );
  expect(numberOf([{ type: 1, value: Uint8Array.of(1, 2, 3) }], 1)).toBeUndefined();
  expect(numberOf([{ type: 1, value: Uint8Array.of(1, 2) }], 1)).toBe(513);
  expect(numberOf([{ type: 1, value: Uint8Array.of(9) }], 1)).toBe(9);
});

test("what is cut off is an error, or the messages before", () => {
  fc.assert(
    fc.property(fc.array(arbitraryMessage, { minLength: 1 }), fc.nat(), (messages, cut) => {
      const whole = join(messages.map(encodeMessage));
      const { value } = attempt(() => decodeMessages(whole.subarray(0, cut % whole.length)));
      if (value === undefined) return;
      expect(value).toEqual(messages.slice(0, value.length));
    }),
  );
});

test("any bytes are an error, or messages and attributes that lie within them", () => {
  fc.assert(
    fc.property(arbitraryBytes, (bytes) => {
      const { value: messages = [] } = attempt(() => decodeMessages(bytes));
      for (const { payload } of messages) attempt(() => decodeGeneric(payload));
      const { value: attributes = [] } = attempt(() => decodeAttributes(bytes));
      expect(sum(messages.map(({ payload }) => payload.length))).toBeLessThanOrEqual(bytes.length);
      expect(sum(attributes.map(({ value }) => value.length))).toBeLessThanOrEqual(bytes.length);
    }),
  );
});

test.each([
  ["a length that goes nowhere", "00000000 0000 0000 00000000 00000000", /a length of 0, of 16/],
  ["a length beyond the end", "11000000 0000 0000 00000000 00000000", /a length of 17, of 16/],
  ["half a header", "10000000 0000", /6 bytes where a header of 16 should be/],
])("%s", (_, hex, expected) => {
  expect(refusal(() => decodeMessages(Uint8Array.fromHex(hex.replaceAll(" ", ""))))).toMatch(
    expected,
  );
});

describe("replies", () => {
  test("are collected until their end, whoever else is answered between", () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryReply),
        fc.constantFrom("error" as const, "done" as const),
        (replies, kind) => {
          const end = { ...plainEnd, type: replyType[kind] };
          const others = replies.map((reply) => ({ ...reply, sequence: 8 }));
          const sent = [...others, ...replies, end].map(encodeMessage);
          expect(collectReplies(7, () => sent.shift() ?? new Uint8Array())).toEqual(replies);
        },
      ),
    );
  });

  test("an error is UNSUPPORTED, with the kernel's number", () => {
    const { attempt } = refusalsOf("UNSUPPORTED");
    const payload = new Uint8Array(new Int32Array([-95, 0, 0, 0, 0]).buffer);
    const error = encodeMessage({ ...plainEnd, type: replyType.error, payload });
    expect(attempt(() => collectReplies(7, () => error)).error?.errnoName).toBe("EOPNOTSUPP");
  });

  test("without an end they are given up", () => {
    const other = encodeMessage({ ...plainEnd, type: 16, sequence: 8 });
    expect(refusal(() => collectReplies(7, () => other))).toMatch(/an answer without an end/);
    expect(refusal(() => collectReplies(7, () => new Uint8Array()))).toMatch(/without an end/);
    const large = encodeMessage({ ...plainEnd, type: 16, payload: new Uint8Array(1 << 20) });
    expect(refusal(() => collectReplies(7, () => large))).toMatch(/without an end/);
  });

  test("of any bytes are an error, or messages", () => {
    fc.assert(
      fc.property(fc.array(arbitraryBytes), (reads) => {
        const rest = [...reads];
        try {
          collectReplies(1, () => rest.shift() ?? new Uint8Array());
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/PROTOCOL|UNSUPPORTED/) });
        }
      }),
    );
  });
});

const plainEnd = { flags: 0, sequence: 7, port: 0, payload: new Uint8Array(4) };
const arbitraryReply = arbitraryMessage
  .filter(({ type }) => type !== replyType.error && type !== replyType.done)
  .map((message) => ({ ...message, sequence: 7 }));

function isText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
