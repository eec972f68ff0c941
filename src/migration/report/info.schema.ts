/** The schema of the JSON that `zc migrate info --json` prints. */
import * as z from "zod";
import { errorSchema } from "../../errors.schema.ts";
import { blockSchema, countsSchema } from "./element.schema.ts";

const count = z.int().nonnegative();

const info = z.strictObject({
  bytes: count.describe("of the stream"),
  version: count,
  pageSize: count.describe("of a guest's page"),
  machine: z.string().optional(),
  capabilities: z.array(z.string()),
  uuid: z.string().optional(),
  libvirt: z
    .strictObject({ complete: z.boolean(), wasRunning: z.boolean(), format: z.string() })
    .optional()
    .describe("its header is in front"),
  footers: z.boolean().optional(),
  ram: z.strictObject({
    bytes: count.describe("of all blocks"),
    blocks: z.array(blockSchema.extend({ pages: countsSchema })),
    pages: countsSchema,
    rounds: z.array(countsSchema).describe("each pass over all blocks"),
    flushes: count.describe("multifd's channels were to catch up: so often"),
    distinctPages: count.optional().describe("different contents, none of zeros; within 2 %"),
    zstdShare: z.number().optional().describe("of a sample of pages, what zstd leaves"),
  }),
  sections: z
    .array(
      z.strictObject({
        name: z.string(),
        instance: count,
        version: count,
        sections: count,
        bytes: count,
      }),
    )
    .describe("the largest first"),
  deviceStates: z
    .array(z.strictObject({ name: z.string(), instance: count, packets: count, bytes: count }))
    .describe("what multifd's channels have of devices"),
  commands: z.array(z.string()),
  descriptionBytes: count.describe("0: the stream has none"),
  undelimitedBytes: count.describe("that cannot be told apart: no footers, no description"),
  trailingBytes: count.describe("behind the stream's end"),
});

export type StreamInfo = z.infer<typeof info>;

export const infoSchema = z.union([info, z.strictObject({ error: errorSchema })]);
