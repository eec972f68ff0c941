/** Where two states of a memory differ, which need not be here as a whole. Pure. */

export interface ChangedRange {
  readonly offset: number;
  readonly size: number;
}

/** Bytes that are equal between two that differ: as few do not make two ranges of one. */
const gapMax = 16;
/** Most of a memory is not touched: looked at in such pieces first. Bytes. */
const pieceSize = 4096;

/** The ranges in which they differ, in their order. */
export class ChangedRanges {
  readonly #ranges: { offset: number; size: number }[] = [];
  /** Bytes that were compared. */
  #compared = 0;

  get all(): readonly ChangedRange[] {
    return this.#ranges;
  }

  /** The next bytes of both; as many of one as of the other. */
  compare(before: Uint8Array, after: Uint8Array): void {
    for (let piece = 0; piece < after.length; piece += pieceSize) {
      const end = Math.min(piece + pieceSize, after.length);
      if (Buffer.compare(before.subarray(piece, end), after.subarray(piece, end)) === 0) continue;
      for (let at = piece; at < end; at++) if (before[at] !== after[at]) this.#add(at);
    }
    this.#compared += after.length;
  }

  /** A byte, as it is counted in those that are compared now. */
  #add(at: number): void {
    const offset = this.#compared + at;
    const last = this.#ranges.at(-1);
    if (last !== undefined && offset - (last.offset + last.size) < gapMax)
      last.size = offset + 1 - last.offset;
    else this.#ranges.push({ offset, size: 1 });
  }
}
