/** The schema of the JSON that `zc migrate diff --json` prints. */
import * as z from "zod";
import { errorSchema } from "../../errors.schema.ts";

const count = z.int().nonnegative();
const side = z.enum(["first", "second"]);

const diff = z.strictObject({
  same: z.boolean(),
  machines: z
    .strictObject({ first: z.string().optional(), second: z.string().optional() })
    .optional()
    .describe("where they differ"),
  blocks: z
    .array(
      z.strictObject({
        name: z.string(),
        pages: count.describe("of the block"),
        different: count,
        ranges: z
          .array(z.strictObject({ start: count, length: count }))
          .describe("bytes of pages that differ, side by side; the first thousand"),
        sizes: z.strictObject({ first: count, second: count }).optional(),
      }),
    )
    .describe("of RAM, those that differ"),
  fields: z
    .array(
      z.strictObject({
        device: z.string(),
        instance: count,
        field: z.string().describe("a path; empty: all its bytes, where there is no description"),
        first: z.unknown(),
        second: z.unknown(),
      }),
    )
    .describe("of devices; what one does not have is null"),
  missing: z
    .array(z.strictObject({ kind: z.enum(["block", "device"]), name: z.string(), in: side }))
    .describe("what only one of the two has, and which"),
});

export type StreamDiff = z.infer<typeof diff>;

export const diffSchema = z.union([diff, z.strictObject({ error: errorSchema })]);
