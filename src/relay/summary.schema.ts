/** The schema of the JSON that `zc relay --json` prints: an object a connection. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";

const count = z.int().nonnegative();

const passedSchema = z.strictObject({
  bytes: count.describe("taken by the socket they were for"),
  calls: count.describe("system calls that gave them to it"),
});

export const relaySummarySchema = z.strictObject({
  near: z.string().describe("who connected to LISTEN"),
  far: z.string().describe("to whom TO led"),
  forth: passedSchema.describe("from near to far"),
  back: passedSchema,
  seconds: z.number().nonnegative().describe("from the accepted connection to the end of both"),
  mode: z.literal("splice"),
  copied: z.boolean().describe("vsock copies, within the kernel, what is spliced"),
  error: errorSchema.optional().describe("why it ended before both sides had: both were reset"),
});

export const relaySchema = z.union([relaySummarySchema, z.strictObject({ error: errorSchema })]);
