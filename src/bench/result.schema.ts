/** The schema of the JSON that `zc bench --json` prints. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { receiveModes, sendModes } from "../transfer/plan.ts";
import { zerocopySendsSchema } from "../transfer/summary.schema.ts";
import { machineSchema } from "./messages.ts";
import { type Percentile, percentiles } from "./result.ts";

const count = z.int().nonnegative();
const number = z.number().nonnegative();

const spread = z.strictObject({ median: number, min: number, max: number });
const sideRun = z.strictObject({
  user: number.describe("CPU seconds of the process"),
  system: number.describe("likewise"),
  calls: count.describe("system calls that moved bytes; 0 of an iperf3, which does not tell"),
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
  zerocopy: zerocopySendsSchema
    .extend({
      received: count.optional().describe("bytes received that reached us without a copy"),
    })
    .describe("all 0 where it was not asked for"),
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
  receiverCopiedShare: number
    .optional()
    .describe("of the bytes that arrived, where the receiver's mode need not copy them"),
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
    .describe("socket buffers, or vsock's credit; bytes; 0 of an iperf3, which does not tell"),
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
    mss: count.optional().describe("TCP maximum segment size, bytes"),
    iperf3: z
      .strictObject({ reverse: z.boolean().describe("it sent") })
      .optional()
      .describe("the other end was an iperf3 server"),
  }),
  cells: z.array(cell),
  isComplete: z.boolean().describe("false where it was interrupted, or an end was lost"),
  error: errorSchema.optional().describe("why an end was lost"),
});

export const benchSchema = z.union([benchResultSchema, z.strictObject({ error: errorSchema })]);
