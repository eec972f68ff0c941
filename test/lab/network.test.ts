/** TCP between two guests: a network card that takes pages, so MSG_ZEROCOPY need not copy. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestPair } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 20_000_001;

describeWithKernel("newest", "TCP between two guests", (kernel) => {
  let pair: GuestPair;
  beforeAll(async () => {
    pair = await GuestPair.boot(kernel);
  });
  afterAll(() => pair?.stop());

  test.each(["auto", "copy", "msg-zerocopy"])("%s arrives whole", async (mode) => {
    const [received, sent] = await Promise.all([
      pair.two.run(`src/zc recv -q --checksum '10.77.0.2:5000' /dev/shm/out`),
      pair.one.run(`
        [ -e /dev/shm/in ] || head -c ${size} /dev/urandom >/dev/shm/in
        src/zc send --retry 30s --mode ${mode} --json --checksum 10.77.0.2:5000 /dev/shm/in`),
    ]);
    expect({ code: sent.code, stderr: sent.stderr }).toEqual({ code: 0, stderr: "" });
    expect({ code: received.code, stderr: received.stderr }).toEqual({ code: 0, stderr: "" });
    const summary = JSON.parse(sent.stdout.toString());
    expect(received.stdout.toString()).toBe(`${summary.checksum}\n`);
    if (mode === "msg-zerocopy") {
      expect(summary.zerocopy.completions).toBe(summary.zerocopy.sends);
      expect(summary.zerocopy.copied).toBe(0);
    }
  });
});
