/** The schema of the JSON that `zc doctor --json` prints. */
import * as z from "zod";
import { verdicts } from "./finding.ts";

export const doctorSchema = z.strictObject({
  findings: z.array(
    z.strictObject({
      feature: z.string(),
      verdict: z.enum(verdicts),
      detail: z.string(),
      mend: z.string().optional(),
    }),
  ),
});
