/** Host and guest, through a VMM's unix socket: vhost-device-vsock stands for the VMM. */
import { afterAll, beforeAll, expect, test } from "vitest";
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

  test("nobody listens in the guest: one line", async () => {
    const { code, stderr } = await zc(["send", `vsock-uds:${guest.vsockSocket}:5999`, "/dev/null"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\].*listen on that port in the guest.*\n$/);
  });
});
