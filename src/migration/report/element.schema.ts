/** The schema of the elements that `zc migrate decode` prints, one a line. */
import * as z from "zod";
import { errorSchema } from "../../errors.schema.ts";

const count = z.int().nonnegative();
const at = {
  offset: count.describe("of its first byte in the stream"),
  length: count.describe("bytes"),
  packaged: z.literal(true).optional().describe("in the package of a postcopy migration"),
};

export const countsSchema = z.strictObject({
  normal: count.describe("pages sent as they are"),
  zero: count.describe("pages of zeros, sent as a word"),
  xbzrle: count.describe("pages sent as what has changed"),
  again: count.describe("of all three: of which another was sent before"),
  empty: count.describe("of the normal ones: all zeros; told where contents are looked at"),
  bytes: count.describe("of their contents, as they came"),
});

export const blockSchema = z.strictObject({
  name: z.string(),
  size: count.describe("bytes"),
  pageSize: count.optional(),
  guestAddress: z.string().optional().describe("hexadecimal"),
  mapped: z
    .strictObject({
      version: count,
      pageSize: count,
      bitmapOffset: count.describe("in the file; 0: none"),
      pagesOffset: count,
    })
    .optional()
    .describe("mapped-ram"),
});

const ram = z.strictObject({
  length: count,
  blocks: z.array(blockSchema).optional(),
  pages: countsSchema,
  flushes: count.describe("multifd's channels were to catch up: so often"),
});

const vfio = z.strictObject({
  length: count,
  records: z.array(z.strictObject({ tag: z.string(), bytes: count })),
});

const problem = z
  .string()
  .optional()
  .describe("why the description, or what it says of this, is not to be believed");

const section = {
  ...at,
  id: count,
  name: z.string(),
  instance: count,
  version: count,
  footer: z.boolean(),
  ram: ram.optional(),
  vfio: vfio.optional(),
  fields: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("by the stream's description; bytes are hexadecimal, so are integers beyond 2^53"),
  data: z.string().optional().describe("hexadecimal, where there is no description"),
  problem,
};

export const elementSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("libvirt"),
    ...at,
    version: count,
    complete: z.boolean(),
    wasRunning: z.boolean(),
    format: z.string(),
    xml: z.string(),
  }),
  z.strictObject({ type: z.literal("header"), ...at, version: count }),
  z.strictObject({
    type: z.literal("configuration"),
    ...at,
    machine: z.string(),
    pageBits: count.optional(),
    capabilities: z.array(z.string()).optional(),
    uuid: z.string().optional(),
  }),
  z.strictObject({ type: z.literal("start"), ...section }),
  z.strictObject({ type: z.literal("part"), ...section }),
  z.strictObject({ type: z.literal("end"), ...section }),
  z.strictObject({ type: z.literal("full"), ...section }),
  z.strictObject({
    type: z.literal("command"),
    ...at,
    name: z.string(),
    number: count,
    value: count.optional(),
    pageSizes: count.optional(),
    targetPageSize: count.optional(),
    block: z.string().optional(),
    ranges: z.array(z.strictObject({ start: count, length: count })).optional(),
    bytes: count.optional(),
    data: z.string().optional(),
  }),
  z.strictObject({ type: z.literal("eof"), ...at }),
  z.strictObject({ type: z.literal("description"), ...at, devices: count.optional(), problem }),
  z.strictObject({ type: z.literal("undelimited"), ...at, data: z.string() }),
  z.strictObject({ type: z.literal("trailing"), ...at }),
  z.strictObject({
    type: z.literal("device-state"),
    name: z.string(),
    instance: count,
    bytes: count,
    records: z
      .array(
        z.strictObject({
          tag: z.string(),
          bytes: count,
          channel: z.string().describe("the file"),
          offset: count.describe("of its packet there"),
        }),
      )
      .describe("in the device's order, whichever channels they came through"),
  }),
  z.strictObject({ type: z.literal("error"), error: errorSchema }),
]);

export type ElementJson = z.infer<typeof elementSchema>;
