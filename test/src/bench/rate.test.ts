import { expect, test } from "vitest";
import { rateOf } from "../../../src/bench/rate.ts";

test("bytes a second, or why there are none", () => {
  expect(rateOf(10, 4)).toBe(2.5);
  expect(() => rateOf(0, 4)).toThrow("nothing arrived");
  expect(() => rateOf(10, 0)).toThrow("at once");
});
