/** The schema of an error in JSON. */
import * as z from "zod";
import { type ErrorCode, exitCodes } from "./errors.ts";

const codes = Object.keys(exitCodes) as [ErrorCode, ...ErrorCode[]];

export const errorSchema = z.strictObject({
  code: z.enum(codes),
  message: z.string(),
  errno: z.int().positive().optional(),
  errnoName: z.string().optional(),
  hint: z.string().optional(),
});
