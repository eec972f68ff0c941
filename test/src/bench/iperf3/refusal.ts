/** Refusals of what a peer sent. */
import { refusalsOf } from "../../refusal.ts";

export const { refusal, attempt } = refusalsOf("PROTOCOL", 500);

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
