/** Our vfio-user server as a device of QEMU's: attached to a machine, and driven by a guest's kernel. */
import { expect, test } from "vitest";
import * as z from "zod";
import { describeWithNewestQemu } from "../migration/qemus.ts";
import { startMachine } from "../peers/machine.ts";
import { ownZc } from "../peers/own.ts";
import { scratch } from "../support/scratch.ts";
import { Guest, vfioUserDevice } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

/** ACCES PCI-IDIO-16, as PCI's numbers name it. */
const vendor = 0x494f;
const device = 0x0dc8;

const busSchema = z.object({
  devices: z.array(
    z.object({
      id: z.object({ vendor: z.number(), device: z.number() }),
      regions: z.array(z.unknown()),
    }),
  ),
});

/** A server in `folder`; resolves with its socket once it listens. */
async function serve(socket: string): Promise<string> {
  await ownZc(["vfio-user", "serve", socket, "--device", "gpio"]).note(/listening on/);
  return socket;
}

describeWithNewestQemu("vfio-user-pci", (program) => {
  test("query-pci sees the device, with its BAR", async () => {
    using folder = scratch();
    const socket = await serve(folder.file("gpio"));
    const { qmp, process } = await startMachine(
      folder,
      "machine",
      [
        ...["-machine", "q35,accel=tcg,memory-backend=mem", "-m", "64", "-nodefaults"],
        ...["-display", "none", "-S", "-device", vfioUserDevice(socket)],
        ...["-object", "memory-backend-memfd,id=mem,size=64M,share=on"],
      ],
      program,
    );
    const [bus] = z.array(busSchema).parse(await qmp.execute("query-pci"));
    const found = bus?.devices.find(({ id }) => id.vendor === vendor && id.device === device);
    expect(found?.regions).toEqual([{ bar: 2, size: 256, address: -1, type: "io" }]);
    await qmp.execute("quit");
    expect((await process.result).stderr).toBe("");
  });

  describeWithKernel("newest", "in a guest", (kernel) => {
    test("lspci sees it, and its pins change as they are written", async () => {
      using folder = scratch();
      const vfioUserSocket = await serve(folder.file("gpio"));
      await using guest = await Guest.boot({ kernel, program, vfioUserSocket });
      const { code, stdout, stderr } = await guest.run(`
        cd /sys/bus/pci/devices/$(lspci -D -n -d 494f:0dc8 | cut -d' ' -f1)
        for press in 1 2 3; do
          od -An -tx1 -j1 -N1 resource2
          printf '\\001' | dd of=resource2 bs=1 conv=notrunc status=none
        done
        od -An -tx1 -j1 -N1 resource2`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout.toString().split("\n")).toEqual([" ff", " fe", " fe", " ff", ""]);
    });
  });
});
