import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryReader, MemoryWriter } from "../../../../src/vfio-user/devices/memory-stream.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";

const page = 4096;
const pagesMax = 70;

/** Which pages are written before a round: each then has the round's number. */
const rounds = fc.array(fc.uniqueArray(fc.nat(pagesMax - 1)), { maxLength: 4 });

function bitmapOf(pages: Iterable<number>): Uint32Array {
  const bits = new Uint32Array(Math.ceil(pagesMax / 32));
  for (const each of pages) bits[each >>> 5] = (bits[each >>> 5] ?? 0) | (1 << (each & 31));
  return bits;
}

test("whatever is written between rounds, and however it is cut, the other one is the same", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: pagesMax }),
      rounds,
      fc.integer({ min: 1, max: 3 * page }),
      fc.integer({ min: 1, max: 3 * page }),
      (pages, writes, readSize, writeSize) => {
        const memory = crypto.getRandomValues(
          new Uint8Array(pages * page).subarray(0, 65536),
        ).buffer;
        const from = new Uint8Array(memory, 0, pages * page);
        const to = new Uint8Array(pages * page);
        let written = new Set<number>();
        const reader = new MemoryReader(from, () => {
          const bits = bitmapOf(written);
          written = new Set();
          return bits;
        });
        const parts: Buffer[] = [];
        const takeRound = (isLast: boolean) => {
          for (;;) {
            const part = reader.read(readSize, isLast);
            parts.push(Buffer.from(part));
            if (part.length < readSize) return;
          }
        };
        for (const [number, round] of writes.entries()) {
          takeRound(false);
          for (const each of round.filter((at) => at < pages)) {
            from.fill(number + 1, each * page, each * page + 100);
            written.add(each);
          }
        }
        takeRound(true);
        expect(reader.read(readSize, true).length).toBe(0);
        const stream = Buffer.concat(parts);
        const writer = new MemoryWriter(to);
        for (let at = 0; at < stream.length; at += writeSize)
          writer.write(stream.subarray(at, at + writeSize));
        writer.finish();
        expect(Buffer.compare(from, to)).toBe(0);
        // Nothing is sent twice that was written once.
        const sent =
          pages + writes.reduce((sum, round) => sum + round.filter((at) => at < pages).length, 0);
        expect(stream.length).toBeLessThan(sent * (page + 16) + 24 + 16 + 1);
      },
    ),
  );
});

test("large pieces are the memory itself", () => {
  const memory = new Uint8Array(64 * page);
  const reader = new MemoryReader(memory, () => new Uint32Array(2));
  reader.read(page, false);
  expect(reader.read(16 * page, false).buffer).toBe(memory.buffer);
});

function stream(pages: number): Buffer {
  const reader = new MemoryReader(new Uint8Array(pages * page), () => bitmapOf([]));
  return Buffer.from(reader.read(1 << 20, true));
}

const refused = (action: () => void) => {
  try {
    action();
  } catch (error) {
    return error instanceof Refusal;
  }
  return false;
};

test.each([
  ["another magic", 0],
  ["another version", 8],
  ["other pages", 12],
  ["another size", 16],
  ["a range that begins within a page", 24],
  ["a range beyond the memory", 26],
  ["a range of another length", 32],
])("%s is refused", (_, at) => {
  const bytes = stream(2);
  bytes[at] = (bytes[at] ?? 0) + 1;
  expect(refused(() => new MemoryWriter(new Uint8Array(2 * page)).write(bytes))).toBe(true);
});

test("what ends too early, or goes on, is refused", () => {
  const bytes = stream(2);
  for (const end of [0, 10, 24, 40, 5000, bytes.length - 1]) {
    const writer = new MemoryWriter(new Uint8Array(2 * page));
    writer.write(bytes.subarray(0, end));
    expect(refused(() => writer.finish())).toBe(true);
  }
  const writer = new MemoryWriter(new Uint8Array(2 * page));
  writer.write(bytes);
  writer.finish();
  expect(refused(() => writer.write(Uint8Array.of(1)))).toBe(true);
});

test("any bytes are taken or refused, and written nowhere else", () => {
  const valid = stream(2);
  const change = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), {
    maxLength: 20,
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    change.map((changes) => {
      const changed = Buffer.from(valid);
      for (const [at, value] of changes) changed[at] = value;
      return changed;
    }),
  );
  fc.assert(
    fc.property(bytes, (data) => {
      const memory = new Uint8Array(4 * page);
      const writer = new MemoryWriter(memory.subarray(page, 3 * page));
      try {
        writer.write(data);
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
      }
      const around = [...memory.subarray(0, page), ...memory.subarray(3 * page)];
      expect(around.every((byte) => byte === 0)).toBe(true);
    }),
  );
});
