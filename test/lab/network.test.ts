/** TCP between two guests: a network card that takes pages, so MSG_ZEROCOPY need not copy. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchResultSchema } from "../../src/bench/result.schema.ts";
import { isNightly } from "../support/nightly.ts";
import { type Guest, GuestPair } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 20_000_001;

describeWithKernel("newest", "TCP between two guests", (kernel) => {
  let pair: GuestPair;
  beforeAll(async () => {
    pair = await GuestPair.boot(kernel);
  });
  afterAll(() => pair?.stop());

  test.each(["auto", "copy", "msg-zerocopy", "io-uring"])("%s arrives whole", async (mode) => {
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
    if (mode === "msg-zerocopy" || mode === "io-uring") {
      expect(summary.zerocopy.completions).toBe(summary.zerocopy.sends);
      expect(summary.zerocopy.copied).toBe(0);
    }
  });

  /** What the receiver's summary says. */
  async function receivedByTcpZerocopy(from: Guest, to: Guest, host: string, options: string) {
    const [received, sent] = await Promise.all([
      to.run(`src/zc recv --mode tcp-zerocopy --mss 4108 --checksum --json ${options} \
        ${host}:5001 /dev/null`),
      from.run(`
        [ -e /dev/shm/in ] || head -c ${size} /dev/urandom >/dev/shm/in
        src/zc send --retry 30s --mode msg-zerocopy -q --checksum ${host}:5001 /dev/shm/in`),
    ]);
    expect({ code: sent.code, stderr: sent.stderr }).toEqual({ code: 0, stderr: "" });
    const summary = JSON.parse(received.stdout.toString());
    expect(`${summary.checksum}\n`).toBe(sent.stdout.toString());
    expect(summary).toMatchObject({ mode: "tcp-zerocopy", bytes: size });
    return summary;
  }

  test.each(["4099", "1048583"])(
    "received by tcp-zerocopy in chunks of %s bytes it is whole",
    async (chunk) => {
      const wide = "ip link set eth0 mtu 4148";
      await Promise.all([pair.one.run(wide), pair.two.run(wide)]);
      const options = `--chunk ${chunk}`;
      const { zerocopy } = await receivedByTcpZerocopy(pair.one, pair.two, "10.77.0.2", options);
      expect(zerocopy.received).toBeLessThanOrEqual(size);
    },
  );

  test("over a guest's loopback tcp-zerocopy maps what is page-sized", async () => {
    const { zerocopy } = await receivedByTcpZerocopy(pair.one, pair.one, "127.0.0.1", "");
    expect(zerocopy.received).toBeGreaterThan(0.9 * size);
  });

  test.runIf(isNightly)(
    "zc bench between the two: nothing is copied, and the peer says what it is",
    async () => {
      const served = pair.two.run(`
      timeout 60 src/zc bench serve 10.77.0.2:5201 & echo $! >/dev/shm/server; wait`);
      const { code, stdout, stderr } = await pair.one.run(`
      src/zc bench 10.77.0.2:5201 --retry 60s --modes copy,msg-zerocopy --sizes 64K --repeat 3 \
        --time 400ms --source 64M --json`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      await pair.two.run("kill $(cat /dev/shm/server)");
      expect((await served).stderr).toMatch(/measuring with tcp:10.77.0.1:/);
      const { cells, peer } = benchResultSchema.parse(JSON.parse(stdout.toString()));
      expect(peer?.kernel).toBe(pair.two.release);
      const uncopied = cells.find(({ mode, size }) => mode === "msg-zerocopy" && size === 65_536);
      expect(uncopied?.summary?.copiedShare).toBe(0);
      expect(uncopied?.summary?.retransmits).toBeGreaterThanOrEqual(0);
    },
    120_000,
  );
});
