/** What a machine's RAM is after records, and how they count. */

import type { RamCounts } from "../../../../src/migration/ram/ram.ts";
import type { PageRecord } from "../records.ts";
import { xbzrle } from "./xbzrle.ts";

type Counts = { -readonly [K in keyof RamCounts]: number };

export interface ModelBlock {
  readonly name: string;
  readonly size: number;
}

/** A page that is to be sent: which, how, and what of. */
export interface Sending {
  readonly block: number;
  readonly page: number;
  readonly kind: PageRecord["kind"];
  /** Of its contents; 0: zeros. */
  readonly seed: number;
  readonly isNamed: boolean;
}

export class RamModel {
  readonly pageSize: number;
  readonly blocks: readonly ModelBlock[];
  readonly images: readonly Uint8Array[];
  readonly total = none();
  readonly ofBlock: readonly Counts[];
  readonly rounds: Counts[] = [none()];
  readonly #sent = new Set<string>();
  #last: readonly [number, number] = [-1, -1];
  #current = -1;

  constructor(blocks: readonly ModelBlock[], pageSize: number) {
    this.pageSize = pageSize;
    this.blocks = blocks;
    this.images = blocks.map(({ size }) => new Uint8Array(pagesOf(size, pageSize) * pageSize));
    this.ofBlock = blocks.map(none);
  }

  /** The record for it; its effect is in the model. */
  send({ block, page, kind, seed, isNamed }: Sending): PageRecord {
    const index = block % this.blocks.length;
    const { name, size } = this.blocks[index] ?? { name: "", size: 1 };
    const number = page % pagesOf(size, this.pageSize);
    const offset = number * this.pageSize;
    const before = this.page(index, number);
    const change = kind === "xbzrle" ? xbzrle(before, changed(before, seed)) : undefined;
    const to = this.#current === index && !isNamed ? {} : { block: name };
    this.#current = index;
    if (kind === "zero" || (kind === "xbzrle" && change === undefined)) {
      before.fill(0);
      this.count(index, number, { zero: 1, bytes: 1 });
      return { kind: "zero", offset, ...to };
    }
    if (change !== undefined) {
      before.set(changed(before, seed));
      this.count(index, number, { xbzrle: 1, bytes: change.length });
      return { kind: "xbzrle", offset, bytes: change, ...to };
    }
    before.set(contents(seed, this.pageSize));
    this.count(index, number, { normal: 1, bytes: this.pageSize, empty: seed === 0 ? 1 : 0 });
    return { kind: "page", offset, bytes: before.slice(), ...to };
  }

  page(block: number, number: number): Uint8Array {
    const at = number * this.pageSize;
    return this.images[block]?.subarray(at, at + this.pageSize) ?? new Uint8Array();
  }

  /** What the block's file has. */
  image(block: number): Uint8Array {
    return this.images[block]?.subarray(0, this.blocks[block]?.size) ?? new Uint8Array();
  }

  count(block: number, page: number, what: Partial<Counts>): void {
    const [lastBlock, lastPage] = this.#last;
    const isBack = block < lastBlock || (block === lastBlock && page < lastPage);
    if (isBack && this.rounds.length < 256) this.rounds.push(none());
    this.#last = [block, page];
    const again = this.#sent.has(`${block} ${page}`) ? 1 : 0;
    this.#sent.add(`${block} ${page}`);
    for (const counts of [this.total, this.ofBlock[block], this.rounds.at(-1)])
      for (const [key, value] of Object.entries({ ...what, again }))
        if (counts) counts[key as keyof Counts] += value;
  }
}

export function none(): Counts {
  return { normal: 0, zero: 0, xbzrle: 0, again: 0, empty: 0, bytes: 0 };
}

export function difference(after: RamCounts, before: RamCounts): RamCounts {
  const keys = Object.keys(after) as (keyof RamCounts)[];
  return Object.fromEntries(keys.map((key) => [key, after[key] - before[key]])) as never;
}

export function pagesOf(size: number, pageSize: number): number {
  return Math.ceil(size / pageSize);
}

/** The same for the same seed; zeros for 0. */
export function contents(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  if (seed === 0) return bytes;
  let state = seed;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  bytes[0] = 1;
  return bytes;
}

/** With a few runs of other bytes. */
function changed(before: Uint8Array, seed: number): Uint8Array {
  const after = before.slice();
  const runs = contents(seed, 12);
  for (let i = 0; i < runs.length; i += 3) {
    const at = Math.floor(((runs[i] ?? 0) / 256) * after.length);
    after.fill(runs[i + 2] ?? 0, at, at + ((runs[i + 1] ?? 0) % 200));
  }
  return after;
}
