/** How progress reads. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { progressBar, progressLine } from "../../../src/progress/line.ts";

const GiB = 2 ** 30;

test("with an end in sight", () => {
  const line = progressLine({ bytes: GiB, total: 2 * GiB, seconds: 0.5, rate: 3 * GiB });
  expect(line).toBe("1.0 GiB / 2.0 GiB, 50 %, 3.00 GiB/s, average 2.00 GiB/s, 0.50 s left");
});

test("without", () => {
  const line = progressLine({ bytes: GiB, total: undefined, seconds: 2, rate: 0 });
  expect(line).toBe("1.0 GiB, 0 B/s, average 512.00 MiB/s");
});

test("nothing has moved yet", () => {
  expect(progressLine({ bytes: 0, total: GiB, seconds: 0, rate: 0 })).toMatch(/no end in sight$/);
});

test("a line is one line, and a bar is as wide as the next", () => {
  const progress = fc.record({
    bytes: fc.nat(),
    total: fc.nat(),
    seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    rate: fc.double({ min: 0, max: 1e12, noNaN: true }),
  });
  fc.assert(
    fc.property(progress, (given) => {
      const bar = progressBar(given);
      expect(bar).toMatch(/^\[=* *\] /);
      expect(bar.indexOf("]")).toBe(21);
      expect(bar).not.toMatch(/[\n\r]|NaN|Infinity|undefined/);
    }),
  );
});
