/** The schema of the JSON that `zc bench --json` prints. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { receiveModes, sendModes } from "../transfer/plan.ts";
import { machineSchema } from "./messages.ts";
import { type Percentile, percentiles } from "./result.ts";

const count = z.int().nonnegative();
const number = z.number().nonnegative();

const spread = z.strictObject({ median: number, min: number, max: number });
const sideRun = z.strictObject({
  user: number.describe("CPU seconds of the process"),
  system: number.describe("likewise"),
  calls: count.describe("system calls that moved bytes"),
});

function percentilesOf<S extends z.ZodType>(each: S) {
  return Object.fromEntries(percentiles.map((name) => [name, each])) as Record<Percentile, S>;
}

const run = z.strictObject({
  bytes: count.describe("that arrived"),
  seconds: number.describe("from the first byte that arrived to the last"),
  bytesPerSecond: number,
  sender: sideRun,
  receiver: sideRun,
  zerocopy: z
    .strictObject({
      sends: count.describe("sends with MSG_ZEROCOPY"),
      completions: count.describe("sends that the kernel has let go of"),
      copied: count.describe("of these: copied by the kernel after all"),
      unknown: count.describe("of these: in joined ranges, which tell of their first send alone"),
      notifications: count.describe("messages on the error queue"),
      retries: count.describe("sends refused for lack of option or locked memory"),
    })
    .describe("all 0 where MSG_ZEROCOPY was not used"),
  retransmits: count.optional().describe("TCP segments sent again"),
  lostShare: z.number().optional().describe("datagrams: share of the bytes that did not arrive"),
  latency: z
    .strictObject({
      requests: count,
      answered: count.describe("the others count as long as they waited"),
      ...percentilesOf(count),
    })
    .optional()
    .describe("from when each request was due to its answer; nanoseconds"),
});

const cpuOfSide = z.strictObject({ user: number, system: number });

const summary = z.strictObject({
  bytesPerSecond: spread,
  cpu: z
    .strictObject({ sender: cpuOfSide, receiver: cpuOfSide, total: spread })
    .describe("CPU seconds a GiB that arrived"),
  calls: z.strictObject({ sender: number, receiver: number }).describe("system calls a GiB"),
  copiedShare: number.optional().describe("of the zero-copy sends of which it is known"),
  notificationsPerSend: number.optional(),
  retransmits: count.optional(),
  lostShare: z.number().optional(),
  latency: z
    .strictObject(percentilesOf(spread))
    .optional()
    .describe("each round's percentile, over the rounds; nanoseconds"),
});

const cell = z.strictObject({
  transport: z.string(),
  mode: z.enum(sendModes),
  receiveMode: z.enum(receiveModes),
  size: count.describe("bytes a call of the sender"),
  isBaseline: z.boolean().describe("copies of 1 MiB, for comparison"),
  buffers: z
    .strictObject({ sender: count, receiver: count })
    .optional()
    .describe("socket buffers, or vsock's credit; bytes"),
  runs: z.array(run),
  summary: summary.optional(),
  error: errorSchema.optional().describe("why it could not run, or did not go on"),
});

export const benchResultSchema = z.strictObject({
  version: z.string().describe("of zc"),
  date: z.iso.datetime(),
  machine: machineSchema,
  peer: machineSchema.optional().describe("the receiver's, where that is another machine"),
  settings: z.strictObject({
    sourceBytes: count.describe("memory that is sent from, over and over"),
    repeat: count,
    bytes: count.optional().describe("of each run"),
    seconds: number.optional().describe("of each run"),
    streams: count,
    touch: z.boolean().describe("memory is written to before each send"),
    misalign: count.describe("bytes by which each send's memory misses the begin of a page"),
    hugePages: z.boolean(),
    requestsPerSecond: z
      .union([number, z.literal("adapted")])
      .optional()
      .describe("latency was measured"),
    cpu: z.tuple([count, count]).optional().describe("processors of sender and receiver"),
  }),
  cells: z.array(cell),
  isComplete: z.boolean().describe("false where it was interrupted"),
});

export const benchSchema = z.union([benchResultSchema, z.strictObject({ error: errorSchema })]);
