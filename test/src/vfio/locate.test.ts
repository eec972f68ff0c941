import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ZcError } from "../../../src/errors.ts";
import { locate } from "../../../src/vfio/kernel/locate.ts";
import { scratch } from "../../support/scratch.ts";

const uuid = "11111111-2222-3333-4444-555555555555";
const pci = "0000:01:00.1";

/** A root with what sysfs and /dev have of devices. */
let folder: ReturnType<typeof scratch>;
let root: string;
beforeEach(() => {
  folder = scratch();
  root = folder.file("root");
  mkdirSync(root);
});
afterEach(() => folder[Symbol.dispose]());

function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

function file(path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), "");
}

function device(bus: string, name: string, driver: string): void {
  const home = `/sys/devices/${name}`;
  mkdirSync(join(root, home, "vfio-dev/vfio3"), { recursive: true });
  link(`/sys/bus/${bus}/devices/${name}`, join(root, home));
  link(`${home}/driver`, `../../bus/${bus}/drivers/${driver}`);
  link(`${home}/iommu_group`, "../../kernel/iommu_groups/12");
  link("/sys/class/vfio-dev/vfio3/device", join(root, home));
}

function refused(name: string): ZcError {
  try {
    locate(name, root);
  } catch (error) {
    if (error instanceof ZcError) return error;
    throw error;
  }
  throw new Error("it was found");
}

describe("a device", () => {
  test.each([uuid, uuid.toUpperCase(), `/sys/bus/mdev/devices/${uuid}`])(
    "of the mdev bus: %s",
    (name) => {
      device("mdev", uuid, "mtty");
      file("/dev/vfio/12");
      const group = join(root, "/dev/vfio/12");
      expect(locate(name, root)).toEqual({
        ...{ name: uuid, driver: "mtty", device: undefined, group },
      });
    },
  );

  test.each([pci, "01:00.1", "/dev/vfio/devices/vfio3"])("of the PCI bus: %s", (name) => {
    device("pci", pci, "mlx5_vfio_pci");
    for (const node of ["/dev/iommu", "/dev/vfio/devices/vfio3", "/dev/vfio/12"]) file(node);
    expect(locate(name, root)).toEqual({
      ...{ name: pci, driver: "mlx5_vfio_pci" },
      device: join(root, "/dev/vfio/devices/vfio3"),
      group: join(root, "/dev/vfio/12"),
    });
  });

  test("without an IOMMU", () => {
    device("pci", pci, "vfio-pci");
    file("/dev/vfio/noiommu-12");
    expect(locate(pci, root).group).toBe(join(root, "/dev/vfio/noiommu-12"));
  });

  test("that no vfio driver has tells who has it, and what would change that", () => {
    device("pci", pci, "nvme");
    file("/dev/vfio/vfio");
    const { code, message, hint } = refused(pci);
    expect(code).toBe("UNSUPPORTED");
    expect(message).toBe(`open ${pci}: no vfio driver has it, but nvme`);
    expect(hint).toContain(`driverctl set-override ${pci} vfio-pci`);
  });

  test("that is not there", () => {
    file("/dev/vfio/vfio");
    expect(refused(uuid)).toMatchObject({ code: "CONNECT", reason: "there is no such device" });
  });

  test.each([pci, uuid, "/dev/vfio/devices/vfio3", "/sys/devices/x"])(
    "where there is no VFIO: %s",
    (name) => {
      expect(refused(name)).toMatchObject({ code: "UNSUPPORTED", exitCode: 3 });
    },
  );
});

test("any other text is refused in one line", () => {
  const text = fc.string({ unit: "binary" }).filter((each) => !each.startsWith("/sys/"));
  fc.assert(
    fc.property(text, (name) => {
      const error = refused(name);
      expect(["USAGE", "UNSUPPORTED"]).toContain(error.code);
      expect(error.toLine()).not.toMatch(/\p{Cc}/u);
    }),
  );
});
