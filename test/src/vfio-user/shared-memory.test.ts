import { fstatSync } from "node:fs";
import { expect, test } from "vitest";
import { memorySizeMax, SharedMemory } from "../../../src/vfio-user/shared-memory.ts";

test("its pieces are what is in it, and take no memory", () => {
  const size = (5 << 20) + 3;
  using memory = new SharedMemory(size);
  const lengths = Array.from(memory.pieces(), (piece) => piece.length);
  expect(lengths.reduce((sum, length) => sum + length)).toBe(size);
  expect(fstatSync(memory.fd).blocks).toBe(0);
  memory.bytes[size - 1] = 7;
  expect(Array.from(memory.pieces(), (piece) => piece.at(-1)).at(-1)).toBe(7);
});

test("there can be as much as JavaScript can look at, and no more", () => {
  using largest = new SharedMemory(memorySizeMax);
  expect(largest.bytes.at(-1)).toBe(0);
  expect(() => new SharedMemory(memorySizeMax + 4096)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", subject: "4294971392 bytes" }),
  );
});
