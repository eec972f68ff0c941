/** Copies of what passes, for somebody who looks on: tee(2) into pipes. */
import { closeSync } from "node:fs";
import type { Flows } from "./flows.ts";

/**
 * Write ends of pipes, taken over. Each is given all that goes in its direction as long as it has
 * room at once; it is closed at the direction's end, or where the copy first misses a byte, so that
 * its reader has a beginning without gaps, and an end.
 */
export type TeeOptions = { readonly [D in keyof Flows]?: number | undefined };

export class Tees implements Disposable {
  readonly #open: Map<keyof Flows, number>;

  constructor({ forth, back }: TeeOptions = {}) {
    const given = [["forth", forth] as const, ["back", back] as const];
    this.#open = new Map(given.flatMap(([way, fd]) => (fd === undefined ? [] : [[way, fd]])));
  }

  /** For zc_relay.tee_forth and zc_relay.tee_back. */
  fd(way: keyof Flows): number {
    return this.#open.get(way) ?? -1;
  }

  /** C is done with these. */
  closeEnded({ flows }: { readonly flows: Flows }): void {
    for (const way of this.#open.keys())
      if (flows[way].missed > 0 || flows[way].hasEnded) this.#close(way);
  }

  [Symbol.dispose](): void {
    for (const way of this.#open.keys()) this.#close(way);
  }

  #close(way: keyof Flows): void {
    closeSync(this.fd(way));
    this.#open.delete(way);
  }
}
