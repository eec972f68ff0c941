/** The schema of the JSON lines of `zc errq`. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";

const count = z.int().nonnegative();
const id = z.int().min(0).max(0xffffffff);
const byte = z.int().min(0).max(255);
const ns = z.number().nonnegative();

const zerocopy = z
  .strictObject({
    origin: z.literal("zerocopy"),
    lo: id.describe("first send that the kernel has let go of"),
    hi: id.describe("last; ids wrap at 2^32"),
    count: count.describe("from the first to the last"),
    copied: z.boolean().describe("of a joined range: whether its first send was"),
    exact: z.boolean().describe("false: a joined range, whose other sends may differ"),
    latencyNs: ns.optional().describe("from the first send to this"),
  })
  .describe("sends with MSG_ZEROCOPY that are complete");

const error = z.strictObject({
  origin: z.enum(["local", "icmp", "icmp6"]),
  errno: z.string(),
  type: byte,
  code: byte,
  offender: z.string().optional().describe("who said so"),
});

const timestamping = z.strictObject({
  origin: z.literal("timestamping"),
  stage: z.enum(["sched", "sent", "acked", "completed"]),
  id: id.describe("UDP: the number of the send; TCP: that of its last byte"),
  ns: z.number().describe("after `since` of the summary"),
  clock: z.enum(["system", "card"]),
});

const txtime = z.strictObject({
  origin: z.literal("txtime"),
  code: z.union([z.enum(["missed", "invalid-param"]), byte]),
  txtime: z.string().describe("the time that was asked for, ns"),
});

const other = z.strictObject({
  origin: byte.describe("SO_EE_ORIGIN_ of linux/errqueue.h"),
  errno: z.string(),
  type: byte,
  code: byte,
  info: id,
  data: id,
});

const summary = z
  .strictObject({
    bytes: count,
    seconds: z.number().nonnegative(),
    peer: z.string(),
    sends: count,
    completions: count,
    notifications: count,
    joined: count.describe("of these: covering more than one send"),
    unordered: count.describe("of these: not starting at the oldest send"),
    copied: count.describe("of the completions: copied by the kernel after all"),
    unknown: count.describe("of the completions: told of by their range's first send alone"),
    retries: count.describe("sends refused for lack of option or locked memory, tried again"),
    latencyNs: z
      .strictObject({ p50: ns, p90: ns, p99: ns, max: ns })
      .optional()
      .describe("from a send to its completion"),
    since: count.describe("seconds since 1970"),
  })
  .describe("the last line");

const state = z
  .strictObject({
    pid: count,
    fd: count,
    cookie: z.string().describe("the kernel's number for this socket, as ss -e shows it"),
    local: z.string(),
    peer: z.string(),
    zerocopy: z.boolean().describe("SO_ZEROCOPY"),
    unsentBytes: count.optional().describe("sent and not acknowledged"),
    optionMemory: count.describe("of sends in flight and notifications that nobody has read"),
    optionMemoryMax: count.optional().describe("net.core.optmem_max"),
    sendMemory: count.describe("queued for sending, with the kernel's own needs"),
    sendMemoryMax: count,
    lockedMemoryMax: count.optional().describe("RLIMIT_MEMLOCK of that process"),
  })
  .describe("with --pid and --fd");

const failure = z.strictObject({ error: errorSchema });

export const errqSchema = z.union([
  z.union([zerocopy, error, timestamping, txtime, other]),
  z.union([summary, state, failure]),
]);
