/** XBZRLE, encoded: QEMU, docs/devel/migration/xbzrle.rst. */

const runMax = 0x3fff;

/** What makes `after` of `before`; undefined where that is no shorter than a page, or cannot be. */
export function xbzrle(before: Uint8Array, after: Uint8Array): Uint8Array | undefined {
  const out: number[] = [];
  let at = 0;
  while (at < after.length) {
    const kept = runOf(at, (i) => before[i] === after[i]);
    if (kept === after.length - at) break;
    // A run too long for its number ends with a byte that is put though it is there already; what
    // changed right behind belongs to it: but for the first one, no run of kept bytes may be empty.
    const from = at + Math.min(kept, runMax);
    const again = kept > runMax ? 1 : 0;
    const changed = again + runOf(from + again, (i) => before[i] !== after[i]);
    if (changed > runMax) return undefined;
    out.push(...uleb128(from - at), ...uleb128(changed), ...after.subarray(from, from + changed));
    at = from + changed;
  }
  return out.length > after.length ? undefined : Uint8Array.from(out);

  function runOf(from: number, matches: (index: number) => boolean): number {
    let to = from;
    while (to < after.length && matches(to)) to++;
    return to - from;
  }
}

function uleb128(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7];
}
