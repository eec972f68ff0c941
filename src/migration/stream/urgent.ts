/**
 * What a postcopy's destination asks for, on a connection of its own where the capability
 * postcopy-preempt is set: records of pages, without anything around them. QEMU,
 * postcopy_preempt_thread in migration/postcopy-ram.c.
 */
import type { Ram } from "../ram/ram.ts";
import { Cursor } from "./cursor.ts";
import { ramFlag } from "./format.ts";
import { hex, malformed, truncated } from "./malformed.ts";
import { badRecord } from "./ram-reader.ts";

/** Bytes that tell whether it is one. */
export const urgentHeadLength = 8;

/** Flags of a first record: a page that names its block, or the end. */
const firstFlags: readonly number[] = [ramFlag.zero, ramFlag.page, ramFlag.eos];
/** Pages are no smaller, and RAM is no larger. */
const flagsMask = 0x3ffn;
const addressMax = 2n ** 44n;

/** There may have been nothing urgent. */
export function isUrgent(head: Uint8Array): boolean {
  if (head.length < urgentHeadLength) return head.length === 0;
  const word = new Cursor(head, 0).u64();
  return word < addressMax && firstFlags.includes(Number(word & flagsMask));
}

export class UrgentParser {
  readonly #ram: Ram;
  #offset = 0;
  #hasEnded = false;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  /** Returns how many bytes it is done with. Throws PROTOCOL, WRITE_SINK. */
  take(bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    if (this.#hasEnded)
      throw malformed({ offset: this.#offset, expected: "the end of pages", found: "more" });
    const found = this.#ram.scan(bytes, "urgent");
    this.#offset += found.consumed;
    this.#hasEnded = found.stop === "end";
    if (found.stop === "more" || found.stop === "end") return found.consumed;
    const cursor = new Cursor(bytes.subarray(found.consumed), this.#offset);
    if (found.stop.startsWith("bad")) throw badRecord(found, cursor, this.#ram.pageSize);
    throw malformed({
      offset: this.#offset,
      expected: "records of pages alone",
      found: `flags ${hex(found.flags)} before it`,
    });
  }

  /** Throws TRUNCATED. */
  end(bytes: Uint8Array): void {
    if (bytes.length > 0) throw truncated(this.#offset + bytes.length, "the rest of a page");
  }
}
