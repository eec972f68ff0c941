/** What takes too long for every change: test/nightly runs it. */

export const isNightly = Boolean(process.env["ZC_NIGHTLY"]);

/** By day some of the cases; at night all. */
export function casesOf<T>(all: readonly T[], byDay: readonly T[]): readonly T[] {
  return isNightly ? all : byDay;
}
