/** C's digests against Bun's, over random bytes in random portions. */
import { dlopen } from "bun:ffi";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";

/** As in c/zc.h. */
const algorithms = { xxh3: 1, sha256: 2 } as const;
const digestSizeMax = 32;

const lengthMax = 100 * 1024;
/** The last length of each of XXH3's formulas, its stripe and block, and SHA-256's padding. */
const boundaries = [0, 3, 8, 16, 55, 64, 119, 128, 240, 256, 1024, 2048, 64 * 1024, lengthMax];

const folder = mkdtempSync(join(tmpdir(), "zc-digest-"));
const { symbols: c, close } = load();
afterAll(() => {
  close();
  rmSync(folder, { recursive: true });
});

const oracles = {
  xxh3: (bytes) => Bun.hash.xxHash3(bytes).toString(16).padStart(16, "0"),
  sha256: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
} satisfies Record<keyof typeof algorithms, (bytes: Uint8Array) => string>;

describe.each(["xxh3", "sha256"] as const)("%s", (algorithm) => {
  const oracle = oracles[algorithm];

  test("lengths on both sides of every boundary", () => {
    for (const length of boundaries.flatMap((last) => [last, last + 1])) {
      const bytes = randomBytes(length, length);
      expect(digestOf(algorithm, [bytes]), `${length} bytes`).toBe(oracle(bytes));
    }
  });

  test("short bytes of any kind", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: "max" }), (bytes) => {
        expect(digestOf(algorithm, [bytes])).toBe(oracle(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test("long streams in any portions", () => {
    const length = fc.oneof(fc.nat(lengthMax), fc.constantFrom(...boundaries));
    const cuts = fc.array(fc.nat(lengthMax), { maxLength: 50, size: "max" });
    fc.assert(
      fc.property(length, fc.integer(), cuts, (length, seed, cuts) => {
        const bytes = randomBytes(length, seed);
        expect(digestOf(algorithm, portionsOf(bytes, cuts))).toBe(oracle(bytes));
      }),
      { numRuns: 300 },
    );
  });
});

function digestOf(algorithm: keyof typeof algorithms, portions: Uint8Array[]): string {
  const digest = c.zc_digest_new(algorithms[algorithm]);
  for (const portion of portions) {
    // Bun takes no pointer to an empty array.
    if (portion.length > 0) c.digest_update(digest, portion, portion.length);
  }
  const out = Buffer.alloc(digestSizeMax);
  const size = c.zc_digest_value(digest, out);
  c.zc_digest_free(digest);
  return out.toString("hex", 0, size);
}

/** Each in memory of its own. */
function portionsOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const inside = cuts.filter((cut) => cut < bytes.length);
  const edges = [0, ...inside.sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, i) => bytes.slice(edges[i], end));
}

/** The same for the same seed: a failure can be repeated. */
function randomBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** The digests alone, with the calls that the library keeps to itself. */
function load() {
  const path = join(folder, "digest.so");
  const sources = ["digest.c", "xxh3.c", "sha256.c"].map((name) =>
    join(import.meta.dirname, "../../c", name),
  );
  const compiler = process.env["CC"] ?? "cc";
  const flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared", "-o", path];
  const { status, stderr } = spawnSync(compiler, [...flags, ...sources], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return dlopen(path, {
    zc_digest_new: { args: ["u32"], returns: "i64" },
    digest_update: { args: ["i64", "ptr", "u64"], returns: "void" },
    zc_digest_value: { args: ["i64", "ptr"], returns: "i32" },
    zc_digest_free: { args: ["i64"], returns: "i32" },
  });
}
