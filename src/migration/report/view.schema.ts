/** The schema of the JSON that `zc migrate relay --json` prints. */
import * as z from "zod";
import { errorSchema } from "../../errors.schema.ts";
import { relaySummarySchema } from "../../relay/summary.schema.ts";

const count = z.int().nonnegative();

const migration = z.strictObject({
  machine: z.string().optional(),
  ramBytes: count,
  pageSize: count,
  round: count.describe("the last one, from 1"),
  pagesOfRound: count,
  pagesOfRoundBefore: count,
  pages: count,
  pagesAgain: count,
  channels: count.describe("of multifd's"),
  isPostcopy: z.boolean(),
  requests: count.describe("that the destination of a postcopy asked for"),
  hasBegun: z.boolean().describe("a stream's header was seen: it is a migration"),
  hasEnded: z.boolean().describe("the stream's end was seen"),
  answer: z.int().optional().describe("the destination's last word: 0 is success"),
  isBlind: z.boolean().describe("some of it went by too fast to be seen"),
  connections: z.array(relaySummarySchema),
});

export const migrationViewSchema = z.union([migration, z.strictObject({ error: errorSchema })]);
