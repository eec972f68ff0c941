/** What every refusal of a peer's message has in common. */
import { expect } from "vitest";
import { ZcError } from "../../../../src/errors.ts";

/** The line of the PROTOCOL error that `action` throws. */
export function refusal(action: () => unknown): string {
  const { error } = attempt(action);
  if (error === undefined) throw new Error("nothing was refused");
  return error.toLine();
}

/** What `action` returns, or the PROTOCOL error it throws: a short line, safe on a terminal. */
export function attempt<T>(action: () => T): { value?: T; error?: ZcError } {
  try {
    return { value: action() };
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    expect(error.code).toBe("PROTOCOL");
    expect(error.toLine()).not.toMatch(/\p{Cc}/u);
    expect(error.toLine().length).toBeLessThan(500);
    return { error };
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
