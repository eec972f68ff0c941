/** The channel where the kernel need not copy: pages are sent from the very memory that is written. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { libraryFlags } from "../../ffi/compile.ts";
import { casesOf, isNightly } from "../support/nightly.ts";
import { root } from "../support/zc.ts";
import { type Guest, GuestPair } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const program = "node_modules/.bin/bun test/lab/pattern.ts";
/** In whole buffers: 34 MB; 201 MB at night, for an emulated line takes its time. */
const pages = (isNightly ? 48 : 8) * 1024;
const netem = "loss 5% delay 200us reorder 25% duplicate 1%";
const engines = ["msg-zerocopy", "io-uring"] as const;
const lossyTimeoutMs = 240_000;

describeWithKernel("newest", "a channel between two guests", (kernel) => {
  let pair: GuestPair;
  beforeAll(async () => {
    pair = await GuestPair.boot(kernel);
  });
  afterAll(() => pair?.stop());

  /** What the receiver made of it, and the sender's counters. */
  async function transfer(
    mode: string,
    count: number,
    { between = "", environment = "", gate = "" } = {},
  ) {
    const [checked, sent] = await Promise.all([
      pair.two.run(`src/zc recv -q 10.77.0.2:5000 ${between} | ${program} check`),
      pair.one.run(`${environment} ${program} send ${mode} 10.77.0.2:5000 ${count} ${gate}`),
    ]);
    expect({ code: sent.code, stderr: sent.stderr }).toEqual({ code: 0, stderr: "" });
    return { verdict: checked.stdout.toString(), counters: JSON.parse(sent.stdout.toString()) };
  }

  test.each(engines)("%s: every send completes, and none is copied", async (mode) => {
    const { verdict, counters } = await transfer(mode, pages / 2);
    expect(verdict).toBe(`${pages / 2} pages\n`);
    expect(counters.completions).toBe(counters.sends);
    expect(counters.copied).toBe(0);
  });

  test.each(casesOf(engines, ["msg-zerocopy"]))(
    "%s: a receiver that stalls keeps the memory",
    async (mode) => {
      const { verdict, counters } = await transfer(mode, pages / 2, {
        gate: "10.77.0.2:5001",
        between: "| (src/zc recv -q 10.77.0.2:5001; cat)",
      });
      expect(verdict).toBe(`${pages / 2} pages\n`);
      expect(counters.longestHeldNs).toBeGreaterThan(1e9);
    },
  );

  test.each(casesOf(engines, ["io-uring"]))(
    "%s: over a line that loses, reorders and repeats, no wrong byte",
    async (mode) => {
      await shape(pair.one, `replace dev eth0 root netem ${netem}`);
      const { verdict } = await transfer(mode, pages);
      await shape(pair.one, "del dev eth0 root");
      expect(verdict).toBe(`${pages} pages\n`);
    },
    lossyTimeoutMs,
  );

  test.each(casesOf(engines, []))(
    "%s: the same without the wait for completions has wrong bytes: this test can fail",
    async (mode) => {
      await shape(pair.one, `replace dev eth0 root netem ${netem}`);
      const { verdict } = await transfer(mode, pages / 2, {
        environment: `ZC_LIBRARY=${libraryWithoutWait()}`,
      });
      await shape(pair.one, "del dev eth0 root");
      expect(verdict).toMatch(/^\d+ wrong pages of \d+\n$/);
    },
    lossyTimeoutMs,
  );
});

async function shape(guest: Guest, change: string): Promise<void> {
  const { code, stderr } = await guest.run(`tc qdisc ${change}`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}

/** In the checkout: a guest sees no other folder that can be written here. */
function libraryWithoutWait(): string {
  const path = join(root, "test", ".out", "libzc-no-wait.so");
  mkdirSync(join(path, ".."), { recursive: true });
  const names = readdirSync(join(root, "c")).filter((name) => name.endsWith(".c"));
  const sources = names.map((name) => join(root, "c", name));
  const flags = [...libraryFlags, "-DZC_TEST_NO_WAIT", "-o", path, ...sources];
  const { status, stderr } = spawnSync("cc", flags, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return path;
}
