/** All that a relay has passed so far, in both directions: what has ended, and what goes on. */
import type { LiveJoin } from "./join.ts";

export class Traffic {
  /** Nobody knows how many bytes there will be. */
  readonly total = undefined;
  readonly #live = new Set<LiveJoin>();
  #past = 0;

  get counters(): { readonly bytes: number } {
    let bytes = this.#past;
    for (const live of this.#live) bytes += bytesOf(live);
    return { bytes };
  }

  begin(live: LiveJoin): void {
    this.#live.add(live);
  }

  end(live: LiveJoin): void {
    if (this.#live.delete(live)) this.#past += bytesOf(live);
  }
}

function bytesOf({ flows: { forth, back } }: LiveJoin): number {
  return forth.bytes + back.bytes;
}
