/** XBZRLE, encoded: QEMU, docs/devel/migration/xbzrle.rst. */

const runMax = 0x3fff;

/** What makes `after` of `before`; undefined where that is no shorter than a page, or cannot be. */
export function xbzrle(before: Uint8Array, after: Uint8Array): Uint8Array | undefined {
  const out: number[] = [];
  let at = 0;
  while (at < after.length) {
    const kept = runOf(at, (i) => before[i] === after[i]);
    if (kept === after.length - at) break;
    // A run too long for its number: in between a byte is put that is there already.
    const split = kept > runMax;
    const changed = split ? 1 : runOf(at + kept, (i) => before[i] !== after[i]);
    if (changed > runMax) return undefined;
    const from = at + (split ? runMax : kept);
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
