/** The schema of the JSON that `zc bench compare --json` prints. */
import * as z from "zod";
import { receiveModes, sendModes } from "../transfer/plan.ts";
import { machineSchema } from "./messages.ts";

const number = z.number().nonnegative();

const cell = {
  transport: z.string(),
  mode: z.enum(sendModes),
  receiveMode: z.enum(receiveModes),
  size: z.int().nonnegative(),
};

const compared = z.strictObject({
  before: number.describe("median"),
  after: number.describe("median"),
  ratio: number.describe("after over before"),
  difference: z.enum(["less", "greater", "unclear"]).describe("of those after, to those before"),
  probability: number.describe("that chance alone makes such a difference; rank-sum test"),
});

export const comparisonSchema = z.strictObject({
  before: machineSchema,
  after: machineSchema,
  differentSettings: z.array(z.string()).describe("what else may explain a difference"),
  cells: z.array(
    z.strictObject({
      ...cell,
      throughput: compared.optional().describe("bytes a second"),
      cpu: compared.optional().describe("CPU seconds a GiB, both ends"),
      latency: compared.optional().describe("the median, nanoseconds; alone where it is known"),
    }),
  ),
  unmatched: z.array(z.strictObject(cell)).describe("measured in one of the two alone"),
});
