/** The schema of the answers that `zc migrate decode --return-path` prints, one a line. */
import * as z from "zod";
import { errorSchema } from "../../errors.schema.ts";

const count = z.int().nonnegative();
const at = { offset: count, length: count };

const answers = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("shut"),
    ...at,
    error: count.describe("not 0: the destination failed"),
  }),
  z.strictObject({ type: z.literal("pong"), ...at, value: count.describe("of the ping") }),
  z.strictObject({
    type: z.literal("req-pages"),
    ...at,
    start: count.describe("in the block"),
    bytes: count,
    block: z.string().optional().describe("that of the request before, where it is not said"),
  }),
  z.strictObject({
    type: z.literal("recv-bitmap"),
    ...at,
    block: z.string(),
    bytes: count.describe("of the bitmap, a bit a page that has come"),
  }),
  z.strictObject({ type: z.literal("resume-ack"), ...at, value: count }),
  z.strictObject({ type: z.literal("switchover-ack"), ...at }),
]);

export type AnswerJson = z.infer<typeof answers>;

export const returnPathSchema = z.union([answers, z.strictObject({ error: errorSchema })]);
