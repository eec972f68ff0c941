/** The schemas of the JSON that `zc vfio-user` prints. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { deviceStates } from "../vfio/states.ts";
import { messageSchema } from "./protocol/describe.schema.ts";
import { capabilitiesSchema } from "./protocol/version.ts";

const count = z.int().nonnegative();
const seconds = z.number().nonnegative();
const state = z.enum(deviceStates);
const failed = z.strictObject({ error: errorSchema });
const hexadecimal = z.string().regex(/^0x[0-9a-f]+$/);
const u64 = z
  .union([count, hexadecimal])
  .describe("hexadecimal, where a number would not be exact");

const interruptSchema = z.strictObject({
  index: count,
  name: z.string().optional().describe("of a PCI device's"),
  count: count.describe("how many of this kind"),
  eventfd: z.boolean().describe("it can signal an eventfd"),
  maskable: z.boolean(),
  automasked: z.boolean(),
});

export const deviceSchema = z.strictObject({
  socket: z.string(),
  version: z.string().describe("of the protocol"),
  capabilities: capabilitiesSchema.describe("as the server says them"),
  twinSocket: z.boolean().describe("its own requests come over a second socket"),
  canReset: z.boolean(),
  isPci: z.boolean(),
  pci: z
    .strictObject({
      vendor: count,
      device: count,
      class: count.describe("base class, subclass, interface, 8 bits each"),
      revision: count,
    })
    .optional(),
  regions: z.array(
    z.strictObject({
      index: count,
      name: z.string().optional().describe("of a PCI device's"),
      size: u64.describe("bytes; 0: it has none of this index"),
      readable: z.boolean(),
      writable: z.boolean(),
      mappable: z.array(z.strictObject({ offset: u64, size: u64 })),
    }),
  ),
  interrupts: z.array(interruptSchema),
  dmaLogging: z.boolean().describe("its writes to memory can be noted"),
  migration: z
    .strictObject({ stopCopy: z.boolean(), p2p: z.boolean(), preCopy: z.boolean(), state })
    .optional()
    .describe("not there: it cannot be migrated"),
});

const read = z.strictObject({
  region: count,
  offset: hexadecimal,
  bytes: count,
  hex: z.string(),
});

const interruptEvent = z.strictObject({
  index: count,
  subindex: count,
  count: count.describe("how often it came since the line before"),
  seconds: seconds.describe("since the wait began"),
});

const access = z.strictObject({
  access: z.enum(["read", "write"]),
  address: hexadecimal,
  bytes: count,
  hex: z.string().describe("the first of them"),
});

const dmaSummary = z.strictObject({
  address: hexadecimal,
  size: count,
  seconds,
  messages: z.strictObject({ reads: count, writes: count, bytesRead: count, bytesWritten: count }),
  changed: z
    .array(z.strictObject({ address: hexadecimal, size: count }))
    .describe("what is not as it was before"),
});

const recovery = z.strictObject({
  found: state.optional().describe("where the failure found it"),
  state: state.optional().describe("where it rests now"),
  action: z.enum(["unwound", "reset", "left"]),
  reason: z.string().optional(),
});

const migrated = z.strictObject({
  source: z.string(),
  destination: z.string(),
  bytes: count,
  seconds,
  preCopyBytes: count.describe("of these: while the source ran"),
  stopCopyBytes: count.describe("of these: while it stood still"),
  downtimeMs: z.number().nonnegative().describe("from the source's stop until the destination ran"),
  preCopyEnd: z.enum(["converged", "stalled", "deadline", "untold"]).optional(),
});

const latency = z.strictObject({ p50: count, p90: count, p99: count, max: count });

export const benchSchema = z.strictObject({
  socket: z.string(),
  reads: z
    .strictObject({
      region: count,
      offset: hexadecimal,
      size: count.describe("bytes a read"),
      depth: count.describe("under way at once"),
      count,
      seconds,
      perSecond: z.number().nonnegative(),
      latencyNs: latency.optional(),
    })
    .describe("of a region, by messages"),
  migration: z
    .strictObject({ bytes: count, seconds, bytesPerSecond: z.number().nonnegative() })
    .optional()
    .describe("data that STOP_COPY gave; not there: it has none, or it was not asked for"),
});

const traced = z.strictObject({
  ...{ connection: count, socket: z.enum(["main", "twin"]), seconds },
  ...messageSchema.shape,
});
const unreadable = z
  .strictObject({
    ...{ connection: count, socket: z.enum(["main", "twin"]), seconds },
    from: z.enum(["client", "server"]),
    header: z.string().describe("in hexadecimal"),
    malformed: z.strictObject({ offset: count, expected: z.string(), found: z.string() }),
  })
  .describe("what is no message; nothing follows it");
const traceEnd = z.strictObject({
  ...{ connection: count, messages: count, seconds },
  end: z.enum(["client", "server"]).describe("who ended it").optional(),
  error: errorSchema.optional(),
});

export const vfioUserSchemas = {
  "vfio-user-info": z.union([deviceSchema, failed]),
  "vfio-user-read": z.union([read, failed]),
  "vfio-user-irqs": z.union([
    z.strictObject({ interrupts: z.array(interruptSchema) }),
    interruptEvent,
    failed,
  ]),
  "vfio-user-dma": z.union([access, dmaSummary, failed]),
  "vfio-user-migrate": z.union([
    migrated,
    z.strictObject({
      error: errorSchema,
      recovered: z
        .strictObject({ source: recovery.optional(), destination: recovery.optional() })
        .optional(),
    }),
  ]),
  "vfio-user-bench": z.union([benchSchema, failed]),
  "vfio-user-trace": z.union([traced, unreadable, traceEnd, failed]),
} as const;
