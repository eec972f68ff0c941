/** The schema of a message as `zc vfio-user trace` prints it. */
import * as z from "zod";
import { features } from "../../vfio/feature.ts";
import { deviceStates } from "../../vfio/states.ts";
import { type CommandName, commands } from "./commands.ts";
import { capabilitiesSchema } from "./version.ts";

const count = z.int().nonnegative();
const u64 = z
  .union([count, z.string().regex(/^0x[0-9a-f]+$/)])
  .describe("hexadecimal, where a number would not be exact");
const flags = z.array(z.string()).describe("by name; those without one as a hexadecimal number");
const data = z
  .strictObject({
    bytes: count.describe("how many"),
    hex: z.string().describe("the first of them"),
  })
  .describe("bytes");
const names = <N extends string>(object: Readonly<Record<N, number>>) =>
  z.enum(Object.keys(object) as [N, ...N[]]);

const range = { iova: u64, length: u64 };
const feature = {
  feature: z.union([names(features), count]),
  operations: flags.describe("GET, SET, PROBE"),
};
const subRegion = { offset: u64, size: u64, fd_index: count, flags: count };

const fields = z.union([
  z.strictObject({}).describe("nothing beside the header"),
  z.strictObject({ data }).describe("MIG_DATA_READ's reply, MIG_DATA_WRITE, an unknown command"),
  z
    .strictObject({
      major: count,
      minor: count,
      capabilities: capabilitiesSchema.optional(),
      unknown: z.array(z.string()).optional().describe("keys that the specification has not"),
    })
    .describe("VERSION"),
  z.strictObject({ addr: u64, size: u64, offset: u64, flags }).describe("DMA_MAP"),
  z
    .strictObject({
      addr: u64,
      size: u64,
      flags,
      bitmap: z.strictObject({ pgsize: u64, size: u64 }).optional(),
      bits: data.optional(),
    })
    .describe("DMA_UNMAP"),
  z
    .strictObject({ flags, num_regions: count, num_irqs: count })
    .describe("DEVICE_GET_INFO's reply"),
  z
    .strictObject({ index: count, argsz: count })
    .describe("DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS"),
  z
    .strictObject({
      index: count,
      size: u64,
      offset: u64,
      flags,
      argsz: count.describe("of the reply that has everything"),
      areas: z.array(z.strictObject({ offset: u64, size: u64 })).optional(),
      otherCapabilities: z.array(count).optional(),
    })
    .describe("DEVICE_GET_REGION_INFO's reply"),
  z
    .strictObject({
      argsz: count,
      index: count,
      count,
      subRegions: z.array(
        z.discriminatedUnion("type", [
          z.strictObject({ type: z.literal("ioeventfd"), ...subRegion, datamatch: u64 }),
          z.strictObject({ type: z.literal("ioregionfd"), ...subRegion, user_data: u64 }),
          z.strictObject({
            type: z.literal("ioeventfd-shadow"),
            ...subRegion,
            datamatch: u64,
            shadow_mem_fd_index: count,
            shadow_offset: u64,
          }),
        ]),
      ),
    })
    .describe("DEVICE_GET_REGION_IO_FDS's reply"),
  z.strictObject({ index: count }).describe("DEVICE_GET_IRQ_INFO"),
  z.strictObject({ index: count, count, flags }).describe("DEVICE_GET_IRQ_INFO's reply"),
  z
    .strictObject({
      index: count,
      start: count,
      count,
      action: z.enum(["mask", "unmask", "trigger"]),
      kind: z.enum(["none", "bool", "eventfd"]).describe("of the data"),
      bools: data.optional(),
    })
    .describe("DEVICE_SET_IRQS"),
  z
    .strictObject({ region: count, offset: u64, count })
    .describe("REGION_READ, REGION_WRITE's reply"),
  z
    .strictObject({ region: count, offset: u64, data })
    .describe("REGION_WRITE, REGION_READ's reply"),
  z.strictObject({ addr: u64, count: u64 }).describe("DMA_READ, DMA_WRITE's reply"),
  z.strictObject({ addr: u64, data }).describe("DMA_WRITE, DMA_READ's reply"),
  z
    .strictObject({ writes: z.array(z.strictObject({ region: count, offset: u64, data })) })
    .describe("REGION_WRITE_MULTI"),
  z.strictObject({ count: u64 }).describe("REGION_WRITE_MULTI's reply, MIG_DATA_READ"),
  z.strictObject({ ...feature, data: data.optional() }).describe("DEVICE_FEATURE"),
  z.strictObject({ ...feature, flags }).describe("of MIGRATION, the reply"),
  z.strictObject({ ...feature, state: z.enum(deviceStates) }).describe("of MIG_DEVICE_STATE"),
  z
    .strictObject({ ...feature, page_size: u64, ranges: z.array(z.strictObject(range)) })
    .describe("of DMA_LOGGING_START"),
  z
    .strictObject({ ...feature, ...range, page_size: u64, bitmap: data.optional() })
    .describe("of DMA_LOGGING_REPORT"),
]);

export const messageSchema = z.strictObject({
  from: z.enum(["client", "server"]),
  id: count.describe("a reply has its command's"),
  type: z.enum(["command", "reply"]),
  command: z.union([names<CommandName>(commands), count]),
  size: count.describe("of the whole message, bytes"),
  fds: count.describe("file descriptors that came with it"),
  noReply: z.literal(true).optional(),
  error: z
    .strictObject({ errno: count, name: z.string() })
    .optional()
    .describe("a reply's, instead of fields"),
  fields: fields.optional(),
  malformed: z
    .strictObject({ offset: count, expected: z.string(), found: z.string() })
    .optional()
    .describe("why the payload has no fields; the offset is in it, or in a feature's data"),
  payload: data.optional().describe("where it is malformed"),
});

export type MessageJson = z.infer<typeof messageSchema>;
