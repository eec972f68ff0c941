/** Host and guest, through a VMM's unix socket: vhost-device-vsock stands for the VMM. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchResultSchema } from "../../src/bench/result.schema.ts";
import { isNightly } from "../support/nightly.ts";
import { hashOf, scratch } from "../support/scratch.ts";
import { zc } from "../support/zc.ts";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 10_000_001;

describeWithKernel("newest", "vsock between host and guest", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel, vsockCid: 3 });
  });
  afterAll(() => guest?.stop());

  test("host to guest: a file arrives whole", async () => {
    using folder = scratch();
    const file = folder.random("in", size);
    const [received, sent] = await Promise.all([
      guest.run(`src/zc recv -q --expect sha256:${hashOf(file)} vsock:any:5000 /dev/null`),
      zc(["send", `vsock-uds:${guest.vsockSocket}:5000`, file, "--retry", "60s"]),
    ]);
    expect(sent).toMatchObject({ code: 0 });
    expect(received).toMatchObject({ code: 0, stderr: "" });
  });

  test.runIf(isNightly)(
    "zc bench from the host to the guest",
    async () => {
      const served = guest.run("timeout 100 src/zc bench serve vsock:any:5201");
      const address = `vsock-uds:${guest.vsockSocket}:5201`;
      const matrix = ["--modes=copy,sendfile", "--sizes=64K", "--repeat=2", "--bytes=8M"];
      const options = ["--source=64M", "--retry=60s", "--json"];
      const { code, stdout } = await zc(["bench", address, ...matrix, ...options]);
      expect(code).toBe(0);
      const { cells, peer } = benchResultSchema.parse(JSON.parse(stdout.toString()));
      expect(peer?.kernel).toBe(guest.release);
      expect(cells.map(({ transport, runs }) => [transport, runs.length])).toEqual([
        ["vsock-uds", 2],
        ["vsock-uds", 2],
        ["vsock-uds", 2],
      ]);
      await guest.run("pkill -f 'bench serve'");
      await served;
    },
    120_000,
  );

  test("nobody listens in the guest: one line", async () => {
    const { code, stderr } = await zc(["send", `vsock-uds:${guest.vsockSocket}:5999`, "/dev/null"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\].*listen on that port in the guest.*\n$/);
  });
});
