/** Mapped receives on the old kernel, over its loopback; network.test.ts has the newest one's. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 20_000_001;

describeWithKernel("old", "tcp-zerocopy", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
    await guest.run(`head -c ${size} /dev/urandom >/dev/shm/in`);
  });
  afterAll(() => guest?.stop());

  test.each(["msg-zerocopy", "io-uring"])("maps what %s sends in pages", async (mode) => {
    const { code, stdout, stderr } = await guest.run(`
      src/zc recv -q --json --mode tcp-zerocopy --mss 4108 127.0.0.1:5000 /dev/shm/out & zc=$!
      src/zc send -q --retry 30s --mode ${mode} --mss 4108 127.0.0.1:5000 /dev/shm/in || exit 1
      wait $zc && cmp /dev/shm/in /dev/shm/out`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { bytes, mode: how, zerocopy } = JSON.parse(stdout.toString());
    expect({ bytes, how }).toEqual({ bytes: size, how: "tcp-zerocopy" });
    expect(zerocopy.received).toBeGreaterThan(0.9 * size);
    expect(zerocopy.received).toBeLessThanOrEqual(size);
  });
});
