/** The first bytes of every connection of a benchmark: what it is for, and whose it is. */
import { timingSafeEqual } from "node:crypto";
import type { Connection } from "../endpoint/connection.ts";
import { readFully, type WaitLimits, writeFully } from "../endpoint/read.ts";

const magic = "zc-bench-1 ";
const tokenLength = 32;
const openingLength = magic.length + tokenLength + 1;
const openingMsMax = 5000;

/** The token of a connection that carries messages, not data. */
export const linkToken = "0".repeat(tokenLength);

/** 128 random bits: data that others send does not count. */
export function newToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(tokenLength / 2))).toString("hex");
}

export async function sendOpening(
  { fd }: Connection,
  token: string,
  limits: WaitLimits,
): Promise<void> {
  await writeFully(fd, Buffer.from(`${magic}${token}\n`), limits);
}

/** The token of a connection that begins as it should; undefined: it does not, or not in time. */
export async function readOpening(
  { fd }: Connection,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const opening = Buffer.alloc(openingLength);
  if (!(await readFully(fd, opening, { timeoutMs: openingMsMax, signal }))) return undefined;
  const text = opening.toString("latin1");
  if (!text.startsWith(magic) || !text.endsWith("\n")) return undefined;
  return text.slice(magic.length, -1);
}

/** Takes as long whether they differ early or late. */
export function isSameToken(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
