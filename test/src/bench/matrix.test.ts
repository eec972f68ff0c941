/** Which cells there are, and in which order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { sourceBytesFor } from "../../../src/bench/machine.ts";
import { matrixOf, orderOfRound } from "../../../src/bench/matrix.ts";

const options = {
  transports: ["tcp", "udp"],
  modes: ["copy", "sendfile"],
  receiveModes: ["copy", "splice"],
  sizes: [4096, 65_536],
} as const;

test("every combination, and a baseline a transport where it is not among them", () => {
  const cells = matrixOf(options);
  expect(cells.length).toBe(2 * (2 * 2 * 2 + 1));
  const baselines = cells.filter(({ isBaseline }) => isBaseline);
  expect(baselines.map(({ transport, mode, size }) => [transport, mode, size])).toEqual([
    ["tcp", "copy", 1 << 20],
    ["udp", "copy", 65_507],
  ]);
  const withBaseline = matrixOf({ ...options, transports: ["tcp"], sizes: [1 << 20] });
  expect(withBaseline.length).toBe(2 * 2);
  expect(withBaseline.filter(({ isBaseline }) => isBaseline).length).toBe(1);
});

test("latencies need no baseline", () => {
  const cells = matrixOf({ ...options, sizes: [4096, 1 << 20], isLatency: true });
  expect(cells.length).toBe(2 * 2 * 2 * 2);
  expect(cells.some(({ isBaseline }) => isBaseline)).toBe(false);
});

test("a round has every cell once, and another one first than the last round", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer(), { minLength: 2 }), fc.nat(100), (items, round) => {
      const [order, next] = [orderOfRound(items, round), orderOfRound(items, round + 1)];
      expect(order.toSorted()).toEqual(items.toSorted());
      if (items.length > 2) expect(order).not.toEqual(next);
    }),
  );
});

test("the source is four times the cache, as far as memory allows", () => {
  const machine = { kernel: "", processor: "", processors: 1, congestion: "" };
  const [MiB, GiB] = [2 ** 20, 2 ** 30];
  const of = (lastLevelCache: number, memory: number) =>
    sourceBytesFor({ ...machine, lastLevelCache, memory });
  expect(of(32 * MiB, 64 * GiB)).toBe(128 * MiB);
  expect(of(1 * MiB, 64 * GiB)).toBe(64 * MiB);
  expect(of(320 * MiB, 4 * GiB)).toBe(512 * MiB);
});
