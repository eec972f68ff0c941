/** Kinds of values in iperf3's JSON. A schema's message is what it expects. */
import * as z from "zod";
import { printable } from "../../errors.ts";

export const whole = (min: number, max: number) => {
  const error = `a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
};

export const atMost = (max: number) => {
  const error = `a number from 0 to ${max}`;
  return z.number(error).min(0, error).max(max, error);
};

/** Some of iperf3's flags are `true`, some are 1. */
export const flag = z.union([z.boolean(), z.number()], "true or 1").transform(Boolean);

/** Safe to show on a terminal. */
export const text = (max: number) => {
  const error = `text of up to ${max} characters`;
  return z.string(error).max(max, error).transform(printable);
};

const countError = "a whole number";
const wrapped = 2 ** 63;

/**
 * -1 stands for what is not known: undefined here. iperf3 3.12 and 3.13 write it as
 * 18446744073709551615.
 */
export const countOrUnknown = z
  .number(countError)
  .max(2 ** 64, countError)
  .refine((count) => Number.isSafeInteger(count) || count >= wrapped, countError)
  .transform((count) => (count < 0 || count >= wrapped ? undefined : count));
