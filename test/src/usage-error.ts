/** What every refusal of bad input has in common. */
import { expect } from "vitest";
import { ZcError } from "../../src/errors.ts";

/** The line of the usage error that `action` throws. */
export function refusal(action: () => unknown): string {
  const { error } = attempt(action);
  if (error === undefined) throw new Error("nothing was refused");
  return error.toLine();
}

/** What `action` returns, or the usage error it throws: exit code 2, safe to show on a terminal. */
export function attempt<T>(action: () => T): { value?: T; error?: ZcError } {
  try {
    return { value: action() };
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    expect(error.code).toBe("USAGE");
    expect(error.toLine() + Object.values(error.toJSON()).join("")).not.toMatch(/\p{Cc}/u);
    return { error };
  }
}
