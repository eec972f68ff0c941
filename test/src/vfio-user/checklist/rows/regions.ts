/** test_setup_region.py and test_pci_caps.py: regions read and written. */
import { joinBytes } from "../../../../../src/vfio/record.ts";
import { text, u16, u32, u64 } from "../raw-client.ts";
import { command, type Row, type Step, step } from "../row.ts";
import type { SetupName } from "../setups.ts";

const access = (region: number, offset: number | bigint, count: number) =>
  joinBytes(u64(offset), u32(region, count));
const config = 7;

function read(offset: number, expected: Uint8Array): Step {
  const where = access(config, offset, expected.length);
  return step(command.read, where, joinBytes(where, expected));
}

function write(offset: number, bytes: Uint8Array): Step {
  const where = access(config, offset, bytes.length);
  return step(command.write, [where, bytes], where);
}

const row = (of: string, setup: SetupName, ...steps: Row["steps"]): Row => ({ of, setup, steps });

/** Where the capabilities of the setup are. */
const at = { power: 0x40, vendor: 0x48, msi: 0x50, msix: 0x68 } as const;
const ignored = "what is read only is not changed by a write, which is no error: PCI 3.0, 6.1";

export const regionRows: readonly Row[] = [
  row(
    "test_setup_region.test_region_offset_overflow",
    "plain",
    step(command.read, access(config, 0xffff_ffff_ffff_ffffn, 256), "EINVAL"),
    step(command.read, access(0, 0xffff_ffff_ffff_ffffn, 256), "EINVAL"),
  ),
  {
    ...row(
      "test_setup_region.test_access_region_zero_count",
      "plain",
      ...[0, config].flatMap((region) => [
        step(command.read, access(region, 0, 0), access(region, 0, 0)),
        step(command.write, access(region, 0, 0), access(region, 0, 0)),
      ]),
    ),
    differs:
      "the access is repeated, as the specification has it; libvfio-user's reply has no payload",
  },
  row(
    "test_setup_region.test_access_region_large_count",
    "plain",
    step(command.read, access(config, 0, (1 << 20) + 8), "EINVAL"),
    step(command.read, access(0, 0, (1 << 20) + 8), "EINVAL"),
  ),
  row(
    "test_setup_region.test_region_offset_too_short",
    "plain",
    step(command.write, u64(0), "EINVAL"),
  ),
  row(
    "test_setup_region.test_setup_region_cfg_always_cb",
    "plain",
    read(0, u16(1, 2)),
    write(0x3c, Uint8Array.of(7)),
    read(0x3c, Uint8Array.of(7)),
  ),
  {
    ...row(
      "test_pci_caps.test_add_caps",
      "capabilities",
      read(0x34, Uint8Array.of(at.power)),
      read(at.power, Uint8Array.of(1, at.vendor)),
      read(at.vendor, joinBytes(Uint8Array.of(9, at.msi, 6), text("abc"))),
      write(at.power, Uint8Array.of(9)),
      read(at.power, Uint8Array.of(1, at.vendor)),
      write(at.vendor + 2, Uint8Array.of(1)),
      read(at.vendor + 2, joinBytes(Uint8Array.of(6), text("abc"))),
      write(at.power + 4, Uint8Array.of(0xff, 0xff)),
      read(at.power + 4, Uint8Array.of(0x03, 0x1f)),
    ),
    differs: `EPERM, EINVAL or ENOTSUP there; ${ignored}`,
  },
  {
    ...row(
      "test_pci_caps.test_pci_cap_write_msi",
      "capabilities",
      write(at.msi + 2, Uint8Array.of(0x41, 0)),
      read(at.msi + 2, Uint8Array.of(0x49, 0)),
      write(at.msi + 2, new Uint8Array(22)),
      read(at.msi, joinBytes(Uint8Array.of(5, at.msix, 8), new Uint8Array(21))),
    ),
    differs: "more vectors than there are would be EINVAL there; here each bit is one",
  },
  row(
    "test_pci_caps.test_pci_cap_write_msix",
    "capabilities",
    write(at.msix + 2, u16(0xffff)),
    read(at.msix, joinBytes(Uint8Array.of(17, 0), u16(0xc000))),
    write(at.msix + 2, u16(0)),
    read(at.msix, u32(17)),
    write(at.msix + 3, Uint8Array.of(0xc0, 0xff)),
    read(at.msix, joinBytes(Uint8Array.of(17, 0), u16(0xc000), new Uint8Array(8))),
    write(at.msix + 2, u16(0x8000)),
    write(at.msix + 4, Uint8Array.of(0xff)),
    read(at.msix + 2, u16(0x8000)),
  ),
];
