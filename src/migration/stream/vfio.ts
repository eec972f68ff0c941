/** A VFIO device's payload: records, each behind a tag; QEMU, hw/vfio/migration.c. */
import { Skipper } from "./collect.ts";
import { type Cursor, Incomplete } from "./cursor.ts";
import type { VfioPayload } from "./elements.ts";
import { limits } from "./format.ts";
import { u64 } from "./joined.ts";
import { hex, malformed } from "./malformed.ts";
import type { PayloadReader } from "./payload.ts";

const tagBase = 0xffffffffef100000n;
const tags = {
  endOfState: 1,
  configState: 2,
  setupState: 3,
  dataState: 4,
  initDataSent: 5,
  configLoadReady: 6,
} as const;
const names = new Map(Object.entries(tags).map(([name, number]) => [number as number, name]));

/** QEMU's buffer. */
const dataMax = 1 << 30;

export class VfioReader implements PayloadReader {
  readonly isBulk = true;
  readonly #begin: number;
  readonly #records: { tag: string; bytes: number }[] = [];
  #data: Skipper | undefined;
  /** Where a device's own state begins, whose length is nowhere said. */
  #config: number | undefined;

  constructor(offset: number) {
    this.#begin = offset;
  }

  read(cursor: Cursor): VfioPayload {
    for (;;) {
      this.#data?.read(cursor);
      this.#data = undefined;
      if (this.#config !== undefined) this.#findEnd(cursor, this.#config);
      const { offset } = cursor;
      const tag = this.#readTag(cursor);
      const name = names.get(tag) ?? "";
      const bytes = tag === tags.dataState ? readLength(cursor) : 0;
      this.#records.push({ tag: name, bytes });
      if (this.#records.length > limits.vfioRecords)
        throw malformed({ offset, expected: "a VFIO section's end", found: "too many records" });
      cursor.commit();
      if (isLast(tag)) break;
      if (tag === tags.dataState) this.#data = new Skipper(bytes);
      if (tag === tags.configState) this.#config = offset;
    }
    return { kind: "vfio", length: cursor.offset - this.#begin, records: this.#records };
  }

  #readTag(cursor: Cursor): number {
    const { offset } = cursor;
    const word = cursor.u64();
    const tag = Number(BigInt.asIntN(64, word - tagBase));
    if (names.has(tag)) return tag;
    throw malformed({ offset, expected: "a tag of VFIO's", found: hex(word) });
  }

  /** Up to the tag that ends it. */
  #findEnd(cursor: Cursor, from: number): void {
    const bytes = Buffer.from(cursor.bytes.buffer, cursor.bytes.byteOffset, cursor.bytes.length);
    const at = bytes.indexOf(endTag, cursor.at);
    const count =
      (at < 0 ? Math.max(cursor.bytes.length - endTag.length + 1, cursor.at) : at) - cursor.at;
    cursor.take(count);
    cursor.commit();
    if (at < 0) throw new Incomplete(cursor.at + endTag.length);
    const last = this.#records.at(-1);
    if (last !== undefined) last.bytes = cursor.offset - from - endTag.length;
    this.#config = undefined;
  }
}

export function vfioTag(name: keyof typeof tags): bigint {
  return tagBase + BigInt(tags[name]);
}

const endTag = Buffer.from(u64(vfioTag("endOfState")));

/** What QEMU's loader goes on no further than. */
function isLast(tag: number): boolean {
  return tag === tags.endOfState || tag === tags.initDataSent || tag === tags.configLoadReady;
}

function readLength(cursor: Cursor): number {
  const { offset } = cursor;
  const length = cursor.u64();
  if (length <= dataMax) return Number(length);
  throw malformed({ offset, expected: "at most 1 GiB of a device's data", found: hex(length) });
}
