/** TCP between two guests: a network card that takes pages, so MSG_ZEROCOPY need not copy. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratch } from "../support/scratch.ts";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 20_000_001;

describeWithKernel("newest", "TCP between two guests", (kernel) => {
  const folder = scratch();
  let one: Guest;
  let two: Guest;
  beforeAll(async () => {
    const socket = folder.file("wire");
    one = await Guest.boot({ kernel, network: { socket, listens: true, address: "10.77.0.1/24" } });
    two = await Guest.boot({
      kernel,
      network: { socket, listens: false, address: "10.77.0.2/24" },
    });
  });
  afterAll(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
    folder[Symbol.dispose]();
  });

  test.each(["auto", "copy", "msg-zerocopy"])("%s arrives whole", async (mode) => {
    const [received, sent] = await Promise.all([
      two.run(`src/zc recv -q --checksum '10.77.0.2:5000' /dev/shm/out`),
      one.run(`
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
