/** Streams in files, where RAM's contents are passed over, and not read. */
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ZcError } from "../../../../src/errors.ts";
import { Ram } from "../../../../src/migration/ram/ram.ts";
import { ingest } from "../../../../src/migration/reading/ingest.ts";
import type { Element } from "../../../../src/migration/stream/elements.ts";
import { type Scratch, scratch } from "../../../support/scratch.ts";
import { streams } from "../generate.ts";
import { plain } from "../parse.ts";

let folder: Scratch;
beforeAll(() => {
  folder = scratch();
});
afterAll(() => folder[Symbol.dispose]());

interface Read {
  readonly elements: unknown;
  readonly counts: unknown;
  readonly rounds: unknown;
  readonly error: string | undefined;
}

/** From a file; with its bulk, which has to be read, or in place. */
async function read(bytes: Uint8Array, pageSize: number, isInPlace: boolean): Promise<Read> {
  const file = folder.file("stream");
  writeFileSync(file, bytes);
  using ram = new Ram(pageSize);
  const elements: Element[] = [];
  const onElement = (element: Element) => elements.push(element);
  const bulk = isInPlace ? {} : { onBulk: () => {} };
  const error = await ingest({ file, ram, onElement, ...bulk }).then(
    () => undefined,
    (error) => (error instanceof ZcError ? error.toLine() : String(error)),
  );
  return { elements: plain(elements), counts: ram.counts, rounds: ram.rounds, error };
}

test("the same as when all is read", async () => {
  await fc.assert(
    fc.asyncProperty(streams, async ({ bytes, pageSize }) => {
      const whole = await read(bytes, pageSize, false);
      expect(whole.error).toBeUndefined();
      expect(await read(bytes, pageSize, true)).toEqual(whole);
    }),
    { numRuns: 100 },
  );
}, 60_000);

test("the same where it breaks off, or is something else", async () => {
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.option(fc.nat(255)),
  });
  await fc.assert(
    fc.asyncProperty(streams, damage, async ({ bytes, pageSize }, { at, byte }) => {
      const place = Math.floor(at * bytes.length);
      const damaged = bytes.slice(0, byte === null ? place : bytes.length);
      if (byte !== null) damaged[place] = byte;
      const [whole, inPlace] = [
        await read(damaged, pageSize, false),
        await read(damaged, pageSize, true),
      ];
      expect(inPlace).toEqual(whole);
    }),
    { numRuns: 100 },
  );
}, 60_000);
