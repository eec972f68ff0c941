/** Which peers this machine has. */

/** A test of an absent peer is skipped, but in CI it runs, and fails: there nothing may be missing. */
export function isAbsent(program: string): boolean {
  return Bun.which(program) === null && !isCi;
}

export const isCi = (process.env["CI"] ?? "") !== "";
