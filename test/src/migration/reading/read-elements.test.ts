/** Streams that come in portions. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Described, readElements } from "../../../../src/index.ts";
import { fields, makeStream } from "../hand-made.ts";

async function elementsOf(portions: Iterable<Uint8Array>): Promise<Described[]> {
  const all: Described[] = [];
  for await (const described of readElements(portions)) all.push(described);
  return all;
}

function* portionsOf(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    const portion = bytes.slice(at, at + size);
    yield portion;
    portion.fill(0xee); // it was the caller's
    at += size;
  }
}

test("the same elements, however they come", async () => {
  const bytes = makeStream();
  const whole = await elementsOf([bytes]);
  expect(whole.map(({ element }) => element.type).at(-1)).toBe("description");
  expect(whole.find((described) => described.fields)?.fields).toEqual(fields);
  const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(sizes, async (sizes) => {
      expect(await elementsOf(portionsOf(bytes, sizes))).toEqual(whole);
    }),
    { numRuns: 50 },
  );
});

test("what breaks off is truncated", async () => {
  await expect(elementsOf([makeStream().subarray(0, 5000)])).rejects.toMatchObject({
    code: "TRUNCATED",
  });
});
