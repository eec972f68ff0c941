/** Where two states of a memory differ. Pure. */

export interface ChangedRange {
  readonly offset: number;
  readonly size: number;
}

/** Bytes that are equal between two that differ: as few do not make two ranges of one. */
const gapMax = 16;
/** Most of a memory is not touched: looked at in such pieces first. Bytes. */
const pieceSize = 4096;

/** The ranges in which they differ, in their order. Both have the same length. */
export function changedRanges(before: Uint8Array, after: Uint8Array): ChangedRange[] {
  const ranges: { offset: number; size: number }[] = [];
  for (let piece = 0; piece < after.length; piece += pieceSize) {
    const end = Math.min(piece + pieceSize, after.length);
    if (Buffer.compare(before.subarray(piece, end), after.subarray(piece, end)) === 0) continue;
    for (let at = piece; at < end; at++) {
      if (before[at] === after[at]) continue;
      const last = ranges.at(-1);
      if (last !== undefined && at - (last.offset + last.size) < gapMax)
        last.size = at + 1 - last.offset;
      else ranges.push({ offset: at, size: 1 });
    }
  }
  return ranges;
}
