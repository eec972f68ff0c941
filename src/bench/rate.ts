/** What a run's bytes and its time come to. */
import { ZcError } from "../errors.ts";

/** Bytes a second. Throws TRUNCATED where they tell none. */
export function rateOf(bytes: number, seconds: number): number {
  if (bytes === 0) throw new ZcError({ code: "TRUNCATED", reason: "nothing arrived" });
  if (seconds > 0) return bytes / seconds;
  const reason = "all of it arrived at once, which tells no rate: more --time or --bytes would";
  throw new ZcError({ code: "TRUNCATED", reason });
}
