/**
 * The cookie by which a server knows the connections of one test: 36 characters and a NUL, first
 * on each. Up to 3.1 it held the client's name and time, since then random letters.
 */
import { malformed } from "./malformed.ts";

/** Bytes, with the NUL. */
export const cookieSize = 37;
const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** Without the NUL. */
export function makeCookie(): string {
  const random = crypto.getRandomValues(new Uint8Array(cookieSize - 1));
  return Array.from(random, (byte) => alphabet[byte % alphabet.length]).join("");
}

export function encodeCookie(cookie: string): Uint8Array {
  return new TextEncoder().encode(`${cookie}\0`);
}

/** Throws PROTOCOL. */
export function parseCookie(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, cookieSize + 1)).toString("latin1");
  if (/^[!-~]{36}\0$/.test(text)) return text.slice(0, -1);
  throw malformed("cookie", "36 printable characters and a NUL", `"${text}"`);
}
