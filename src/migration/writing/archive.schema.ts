/** The lines of an archive's elements.ndjson. */
import * as z from "zod";
import { sectionKinds } from "../stream/elements.ts";

const count = z.int().nonnegative();
const hexadecimal = z.string().regex(/^([0-9a-f]{2})*$/);
/** Beside elements.ndjson. */
const file = z.string().regex(/^[0-9a-z-]+\.(bin|json)$/);
const bulk = count.describe("so many of the next bytes of bulk.bin");
const packaged = z.literal(true).optional();

export const archiveLineSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("libvirt"), file }),
  z.strictObject({ type: z.literal("header"), version: count }),
  z.strictObject({
    type: z.literal("configuration"),
    machine: z.string(),
    pageBits: count.optional(),
    capabilities: z.array(z.string()).optional(),
    uuid: hexadecimal.optional(),
  }),
  z.strictObject({
    type: z.enum(sectionKinds),
    packaged,
    id: count,
    name: z.string(),
    instance: count,
    version: count,
    footer: z.boolean(),
    file: file.optional(),
    bulk: bulk.optional(),
  }),
  z.strictObject({ type: z.literal("command"), packaged, number: count, data: hexadecimal }),
  z.strictObject({ type: z.literal("eof"), packaged }),
  z.strictObject({ type: z.literal("description"), file }),
  z.strictObject({ type: z.literal("undelimited"), file }),
  z.strictObject({ type: z.literal("trailing"), bulk }),
  z
    .strictObject({ type: z.literal("channel"), file })
    .describe("a captured connection beside the stream's"),
]);

export type ArchiveLine = z.infer<typeof archiveLineSchema>;
