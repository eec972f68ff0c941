/** A known number of bytes, kept, however they come. */
import { type Cursor, Incomplete } from "./cursor.ts";

export class Collector {
  readonly #bytes: Uint8Array;
  #filled = 0;

  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
  }

  /** Throws Incomplete until all are there. */
  read(cursor: Cursor): Uint8Array {
    const some = cursor.take(Math.min(cursor.left, this.#bytes.length - this.#filled));
    this.#bytes.set(some, this.#filled);
    this.#filled += some.length;
    cursor.commit();
    if (this.#filled < this.#bytes.length) throw new Incomplete(cursor.at + 1);
    return this.#bytes;
  }
}

/** A known number of bytes, passed over. */
export class Skipper {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  /** Throws Incomplete until all have come. */
  read(cursor: Cursor): void {
    const count = Math.min(cursor.left, this.#left);
    cursor.take(count);
    this.#left -= count;
    cursor.commit();
    if (this.#left > 0) throw new Incomplete(cursor.at + 1);
  }
}
