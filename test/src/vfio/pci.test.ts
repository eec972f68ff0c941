import { expect, test } from "vitest";
import { decodePciIdentity, pciInterruptNames, pciRegionNames } from "../../../src/vfio/pci.ts";

test("the names are in the order of linux/vfio.h's indexes", () => {
  expect([0, 5, 6, 7, 8].map((index) => pciRegionNames[index])).toEqual([
    ...["bar0", "bar5", "rom", "config", "vga"],
  ]);
  expect(pciInterruptNames).toEqual(["intx", "msi", "msix", "error", "request"]);
});

test("who a device is, from its configuration space", () => {
  const config = Uint8Array.fromHex("86800e10" + "00000000" + "05020001" + "00000000");
  expect(decodePciIdentity(config)).toEqual({
    ...{ vendor: 0x8086, device: 0x100e, class: 0x010002, revision: 5 },
  });
});
