/** What every refusal has in common. */
import { expect } from "vitest";
import { type ErrorCode, ZcError } from "../../src/errors.ts";

/** Of bad input. */
export const { refusal, attempt } = refusalsOf("USAGE");

/** `lengthMax`: of the line, where what it quotes is not the user's own. */
export function refusalsOf(code: ErrorCode, lengthMax = Number.POSITIVE_INFINITY) {
  /** What `action` returns, or the error it throws: a line that is safe to show on a terminal. */
  function attempt<T>(action: () => T): { value?: T; error?: ZcError } {
    try {
      return { value: action() };
    } catch (error) {
      if (!(error instanceof ZcError)) throw error;
      expect(error.code).toBe(code);
      expect(error.toLine() + Object.values(error.toJSON()).join("")).not.toMatch(/\p{Cc}/u);
      expect(error.toLine().length).toBeLessThan(lengthMax);
      return { error };
    }
  }

  /** The line of the error that `action` throws. */
  function refusal(action: () => unknown): string {
    const { error } = attempt(action);
    if (error === undefined) throw new Error("nothing was refused");
    return error.toLine();
  }

  return { attempt, refusal };
}
