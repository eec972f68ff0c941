/** Streams through the parser. */

import { Ram } from "../../../src/migration/ram/ram.ts";
import type { Element } from "../../../src/migration/stream/elements.ts";
import { StreamParser } from "../../../src/migration/stream/parser.ts";
import { encodeWith } from "./records.ts";

export interface Parsed {
  readonly elements: Element[];
  /** What the elements are when they are encoded again. */
  readonly encoded: Uint8Array;
  readonly flushes: number;
}

/** The elements of these bytes, which come up to each cut; by default at once. */
export function parse(bytes: Uint8Array, ram: Ram, cuts: readonly number[] = []): Parsed {
  const elements: Element[] = [];
  const encoded: Uint8Array[] = [];
  let bulk: Uint8Array[] = [];
  let flushes = 0;
  const parser = new StreamParser({
    ram,
    onElement: (element) => {
      elements.push(element);
      encoded.push(encodeWith(element, Buffer.concat(bulk)));
      bulk = [];
    },
    onBulk: (some) => bulk.push(some.slice()),
    onFlush: () => flushes++,
  });
  let done = 0;
  // Each window in memory of its own, gone after the call. The parser may stop before its end.
  const take = (to: number) => {
    let taken: number;
    do {
      const window = new Uint8Array(bytes.subarray(done, to));
      taken = parser.take(window);
      done += taken;
      window.fill(0xee);
    } while (taken > 0 || parser.isPaused);
  };
  for (const cut of [...cuts, bytes.length]) take(cut);
  parser.end(new Uint8Array(bytes.subarray(done)));
  return { elements, encoded: Buffer.concat(encoded), flushes };
}

/** The same, with a RAM of its own. */
export function parseAlone(bytes: Uint8Array, cuts: readonly number[] = [], pageSize = 4096) {
  using ram = new Ram(pageSize);
  return parse(bytes, ram, cuts);
}

/** To compare quickly, and to read when they differ. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.toHex();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
