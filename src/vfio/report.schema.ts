/** The schemas of the JSON that `zc vfio` prints. */
import * as z from "zod";
import { errorSchema } from "../errors.schema.ts";
import { deviceStates } from "./states.ts";

const count = z.int().nonnegative();
const state = z.enum(deviceStates);
const path = z.array(state).describe("the states on the way, the last one is where it leads");

const recovery = z
  .strictObject({
    found: state.optional().describe("where the failure found the device"),
    state: state.optional().describe("where it rests now"),
    action: z
      .enum(["unwound", "reset", "left"])
      .describe("it went back, it was reset and lost what it held, or it was left as it was"),
    reason: z.string().optional(),
  })
  .describe("how the device rests; not there: it was not touched");

const failed = z.strictObject({ error: errorSchema, device: recovery.optional() });

const info = z.strictObject({
  device: z.string(),
  driver: z.string().optional(),
  pci: z.boolean(),
  reset: z.boolean().describe("it can be reset"),
  regions: count,
  irqs: count,
  dmaLogging: z.boolean().describe("its writes to memory can be noted"),
  migration: z
    .strictObject({
      stopCopy: z.boolean(),
      p2p: z.boolean(),
      preCopy: z.boolean(),
      state,
      reachable: z.array(z.strictObject({ state, path })),
      stopCopySize: count.optional().describe("bytes that STOP_COPY would give; an estimate"),
    })
    .optional()
    .describe("not there: it cannot be migrated"),
});

const states = z.strictObject({
  device: z.string(),
  before: state,
  state,
  path: path.optional().describe("walked; not there: nothing was asked for"),
  reset: z.boolean(),
});

const saved = z.strictObject({
  device: z.string(),
  to: z.string(),
  bytes: count,
  seconds: z.number().nonnegative(),
  preCopyBytes: count.describe("of these: while it ran"),
  stopCopyBytes: count.describe("of these: while it stood still"),
  downtimeMs: z.number().nonnegative().describe("from its stop until the other side had it all"),
  preCopyEnd: z.enum(["converged", "stalled", "deadline", "untold"]).optional(),
  state: state.describe("where it rests"),
});

const resumed = z.strictObject({
  device: z.string(),
  from: z.string(),
  bytes: count,
  seconds: z.number().nonnegative(),
  state: state.describe("where it rests"),
});

export const vfioInfoSchema = z.union([info, failed]);
export const vfioStateSchema = z.union([states, failed]);
export const vfioSaveSchema = z.union([saved, failed]);
export const vfioResumeSchema = z.union([resumed, failed]);
