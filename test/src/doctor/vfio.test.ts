import { mkdirSync, symlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { judgeDevices } from "../../../src/doctor/vfio.ts";
import { listDevices } from "../../../src/vfio/kernel/locate.ts";
import { scratch } from "../../support/scratch.ts";

test("devices are listed by their names on the bus", () => {
  using folder = scratch();
  const names = ["0000:01:00.1", "11111111-2222-3333-4444-555555555555"];
  expect(listDevices(folder.path)).toBeUndefined();
  mkdirSync(folder.file("sys/class/vfio-dev"), { recursive: true });
  expect(listDevices(folder.path)).toEqual([]);
  for (const [number, name] of names.entries()) {
    mkdirSync(folder.file(`sys/devices/${name}`), { recursive: true });
    mkdirSync(folder.file(`sys/class/vfio-dev/vfio${number}`));
    symlinkSync(
      folder.file(`sys/devices/${name}`),
      folder.file(`sys/class/vfio-dev/vfio${number}/device`),
    );
  }
  expect(listDevices(folder.path)).toEqual(names);
});

test("no VFIO, no devices, some, and many", () => {
  expect(judgeDevices(undefined)).toMatchObject({ verdict: "missing", mend: "modprobe vfio-pci" });
  expect(judgeDevices([]).detail).toBe("no device has a vfio driver");
  expect(judgeDevices(["0000:01:00.1"])).toMatchObject({
    verdict: "works",
    detail: "0000:01:00.1; zc vfio info DEV tells what it can",
  });
  const many = Array.from({ length: 10 }, (_, index) => `${index}`);
  expect(judgeDevices(many).detail).toMatch(/^0, 1, .*7 and 2 more;/);
});
