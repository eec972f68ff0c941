/** The schema of the JSON that `zc send --json` and `zc recv --json` print. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { modes } from "./plan.ts";

const count = z.int().nonnegative();
const seconds = z.number().nonnegative();

/** What became of sends without copies, MSG_ZEROCOPY and io_uring's SEND_ZC, and of receiving so. */
export const zerocopySchema = z
  .strictObject({
    sends: count.describe("sends that asked for it"),
    completions: count.describe("sends that the kernel has let go of"),
    copied: count.describe("of these: copied by the kernel after all"),
    unknown: count.describe("of these: in joined ranges, which tell of their first send alone"),
    notifications: count.describe("messages on the error queue, or of the ring, that told"),
    retries: count.describe("sends refused for lack of option or locked memory"),
    fallbacks: count.describe(
      "sends that did not ask: too small, too little memory, or the kernel copies anyway",
    ),
    received: count.describe("bytes received that reached us without a copy: mapped"),
  })
  .describe("all 0 where it was not asked for");

export const summarySchema = z.strictObject({
  bytes: count.describe("given to the peer, or to the output"),
  seconds,
  bytesPerSecond: z.number().nonnegative(),
  mode: z.enum(modes).describe("the mode that moved the last byte"),
  chunk: count.describe("bytes a call, at most"),
  cpu: z.strictObject({ user: seconds, system: seconds }).describe("seconds, of this process"),
  zerocopy: zerocopySchema,
  peer: z.string(),
  local: z.string(),
  checksum: z
    .string()
    .regex(/^(xxh3:[0-9a-f]{16}|sha256:[0-9a-f]{64})$/)
    .optional(),
  end: z.enum(["closed", "acknowledged", "verified", "unverified"]),
  discarded: count.describe("bytes that the receiver sent back, thrown away"),
  holes: count.describe("bytes left as holes"),
  settings: z.record(z.string(), z.union([z.string(), z.number()])),
  reasons: z.array(z.string()).describe("which modes were chosen, and why"),
});

export const transferSchema = z.union([summarySchema, z.strictObject({ error: errorSchema })]);
