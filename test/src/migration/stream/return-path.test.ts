/** What a destination answers, in any portions. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { counted, joined, u16, u32, u64 } from "../../../../src/migration/stream/joined.ts";
import type { AnswerJson } from "../../../../src/migration/stream/return-path.schema.ts";
import { returnPathSchema } from "../../../../src/migration/stream/return-path.schema.ts";
import { ReturnPathParser } from "../../../../src/migration/stream/return-path.ts";
import { refusalsOf } from "../../refusal.ts";

const { attempt, refusal } = refusalsOf("PROTOCOL", 500);
const bitmapEnd = 0x0123456789abcdefn;

interface Answer {
  readonly bytes: Uint8Array;
  readonly fields: Partial<AnswerJson>;
}

const number = fc.nat(0xffffffff);
const name = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme-ascii" });
const answer: fc.Arbitrary<Answer> = fc.oneof(
  number.map((error) => message(1, u32(error), { type: "shut", error })),
  number.map((value) => message(2, u32(value), { type: "pong", value })),
  fc.tuple(fc.nat(), number, name).map(([start, bytes, block]) =>
    message(3, joined(u64(start), u32(bytes), counted(block)), {
      ...{ type: "req-pages" as const, start, bytes, block },
    }),
  ),
  fc
    .tuple(fc.nat(), number)
    .map(([start, bytes]) =>
      message(4, joined(u64(start), u32(bytes)), { type: "req-pages", start, bytes }),
    ),
  fc.tuple(name, fc.uint8Array({ maxLength: 200 })).map(([block, bitmap]) => {
    const { bytes } = message(5, counted(block), {});
    const behind = joined(u64(bitmap.length), bitmap, u64(bitmapEnd));
    const fields = { type: "recv-bitmap" as const, block, bytes: bitmap.length };
    return { bytes: joined(bytes, behind), fields };
  }),
  number.map((value) => message(6, u32(value), { type: "resume-ack", value })),
  fc.constant(message(7, new Uint8Array(), { type: "switchover-ack" })),
);

function message(type: number, data: Uint8Array, fields: Partial<AnswerJson>): Answer {
  return { bytes: joined(u16(type), u16(data.length), data), fields };
}

/** What comes of the bytes, in portions of these sizes, over and over. */
function parse(bytes: Uint8Array, portions: readonly number[]): AnswerJson[] {
  const answers: AnswerJson[] = [];
  const parser = new ReturnPathParser((answer) => answers.push(answer));
  let [done, there] = [0, 0];
  for (let turn = 0; there < bytes.length; turn++) {
    there = Math.min(there + (portions[turn % portions.length] ?? 1), bytes.length);
    done += parser.take(bytes.subarray(done, there));
  }
  parser.end(bytes.subarray(done));
  return answers;
}

test("answers, at any split", () => {
  const portions = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(answer), portions, (answers, sizes) => {
      const parsed = parse(joined(...answers.map(({ bytes }) => bytes)), sizes);
      expect(parsed.length).toBe(answers.length);
      let offset = 0;
      for (const [index, { fields, bytes }] of answers.entries()) {
        expect(parsed[index]).toEqual({ offset, length: bytes.length, ...fields });
        expect(returnPathSchema.safeParse(parsed[index]).success).toBe(true);
        offset += bytes.length;
      }
    }),
  );
});

test("any bytes are answers, or refused in a line", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const parser = new ReturnPathParser(() => {});
      attempt(() => parser.take(bytes));
    }),
  );
});

test.each([
  [joined(u16(9), u16(0)), /offset 0x0: expected an answer of a destination, found type 9$/],
  [joined(u16(2), u16(600)), /expected at most 512 bytes, found 600$/],
  [joined(u16(2), u16(2), u16(0)), /expected an answer of its length, found 2 bytes$/],
  [
    joined(u16(5), u16(2), counted("a"), u64(2 ** 40)),
    /offset 0x6: expected a bitmap of a block, found 1099511627776 bytes$/,
  ],
  [
    joined(u16(5), u16(2), counted("a"), u64(0), u64(1)),
    /offset 0xe: expected a bitmap's end, found 0x1$/,
  ],
])("refused: %#", (bytes, reason) => {
  expect(refusal(() => parse(bytes, [1]))).toMatch(reason);
});

test("what ends in the middle is truncated", () => {
  const truncations = refusalsOf("TRUNCATED");
  expect(truncations.refusal(() => parse(joined(u16(2), u16(4), u16(0)), [100]))).toMatch(
    /offset 0x6: expected the rest of an answer, found its end$/,
  );
});
