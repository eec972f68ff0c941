/** The messages of a benchmark's link, with a limit on all that a peer can ask for. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { receiveModes, sendModes } from "../transfer/plan.ts";

export const limits = {
  streams: 128,
  sizeMin: 1,
  sizeMax: 2 ** 30,
  bytes: 2 ** 50,
  durationMs: 3_600_000,
  buffer: 2 ** 31 - 1,
  mss: 0xffff,
  perSecond: 1e6,
  processor: 1023,
} as const;

const count = z.int().nonnegative();
/** 128 random bits: whoever has it belongs to this run. */
const token = z.string().regex(/^[0-9a-f]{32}$/);
const buffer = z.int().positive().max(limits.buffer).optional();
const mss = z.int().positive().max(limits.mss).optional();

const prepare = z.strictObject({
  do: z.literal("prepare"),
  /** Memory to send from; not said: what the machine's caches ask for. */
  sourceBytes: z.int().positive().max(limits.bytes).optional(),
  misalign: count.max(4095),
  touch: z.boolean(),
  hugePages: z.boolean(),
  processor: count.max(limits.processor).optional(),
});

const size = z.int().min(limits.sizeMin).max(limits.sizeMax);

const receive = z.strictObject({
  do: z.literal("receive"),
  token,
  transport: z.string().max(32),
  mode: z.enum(receiveModes),
  streams: z.int().positive().max(limits.streams),
  mss,
  rcvbuf: buffer,
  /** Send a byte back, on a connection of its own, for each so many bytes. */
  answer: z.strictObject({ token, request: size }).optional(),
});

const send = z.strictObject({
  do: z.literal("send"),
  token,
  /** An address a stream, or one for all. */
  to: z.array(z.string().max(512)).min(1).max(limits.streams),
  mode: z.enum(sendModes),
  size,
  streams: z.int().positive().max(limits.streams),
  bytes: z.int().positive().max(limits.bytes).optional(),
  durationMs: z.number().positive().max(limits.durationMs).optional(),
  mss,
  sndbuf: buffer,
  /** Requests, so many a second, whose answers come on a connection of their own. */
  requests: z
    .strictObject({ token, perSecond: z.number().positive().max(limits.perSecond) })
    .optional(),
});

/** Ends what was asked for before. */
const stop = z.strictObject({ do: z.literal("stop") });

export const requestSchema = z.discriminatedUnion("do", [prepare, receive, send, stop]);
export type Request = z.output<typeof requestSchema>;
export type PrepareRequest = z.output<typeof prepare>;
export type ReceiveRequest = z.output<typeof receive>;
export type SendRequest = z.output<typeof send>;

export const machineSchema = z.strictObject({
  kernel: z.string().max(256),
  processor: z.string().max(256),
  processors: count,
  lastLevelCache: count.describe("bytes"),
  memory: count.describe("bytes"),
  congestion: z.string().max(64).describe("TCP congestion control, the default"),
});

const prepared = z.strictObject({
  did: z.literal("prepare"),
  machine: machineSchema,
  /** Memory to send from; bytes. */
  sourceBytes: count,
});

/** Where to send to. */
const listening = z.strictObject({
  did: z.literal("listen"),
  addresses: z.array(z.string().max(512)).max(limits.streams),
});

const side = {
  bytes: count,
  calls: count,
  /** CPU seconds of the process. */
  user: z.number().nonnegative(),
  system: z.number().nonnegative(),
  /** The socket's buffer, or vsock's credit. */
  buffer: count,
};

const received = z.strictObject({
  did: z.literal("receive"),
  ...side,
  /** From the first byte to the last. */
  seconds: z.number().nonnegative(),
  /** Bytes that reached it without a copy, where its mode asks for that. */
  uncopied: count.optional(),
});

const sent = z.strictObject({
  did: z.literal("send"),
  ...side,
  /** From the first call to the last completion. */
  seconds: z.number().nonnegative(),
  sends: count,
  completions: count,
  copied: count,
  unknown: count,
  notifications: count,
  retries: count,
  retransmits: count.optional(),
  latency: z
    .strictObject({
      requests: count,
      answered: count,
      ...{ p50: count, p90: count, p99: count, p999: count, max: count },
    })
    .optional(),
});

const failed = z.strictObject({ did: z.literal("fail"), error: errorSchema });

export const replySchema = z.discriminatedUnion("did", [
  prepared,
  listening,
  received,
  sent,
  failed,
]);
export type Reply = z.output<typeof replySchema>;
export type Prepared = z.output<typeof prepared>;
export type Received = z.output<typeof received>;
export type Sent = z.output<typeof sent>;
