/** test_device_get_*.py, test_setup_region.py and test_vfu_realize_ctx.py: what a device says it is. */
import { expect } from "vitest";
import { joinBytes } from "../../../../../src/vfio/record.ts";
import { u16, u32, u64 } from "../raw-client.ts";
import { command, fine, type Row, type Step, step } from "../row.ts";
import type { SetupName } from "../setups.ts";

const row = (of: string, setup: SetupName, ...steps: Row["steps"]): Row => ({ of, setup, steps });

/** A request for a region's info, and its reply without capabilities. */
const regionInfo = (argsz: number, index: number, flags = 0, size = 0, offset = 0) =>
  joinBytes(u32(argsz, flags, index, 0), u64(size, offset));
const askRegion = (
  argsz: number,
  index: number,
  expected: Step["expect"],
  more: Partial<Step> = {},
) => step(command.regionInfo, regionInfo(argsz, index), expected, more);
const irqInfo = (argsz: number, index: number, expected: Step["expect"]) =>
  step(command.irqInfo, u32(argsz, 0, index, 0), expected);
const ioFds = (argsz: number, index: number, expected: Step["expect"], flags = 0, count = 0) =>
  step(command.regionIoFds, u32(argsz, flags, index, count), expected);

const noCount = ({ fds }: { readonly fds: readonly number[] }) => expect(fds.length).toBe(0);
const oneFd = ({ fds }: { readonly fds: readonly number[] }) => expect(fds.length).toBe(1);

/** Writes all ones to a BAR's register, reads it, and writes what was there before. */
function probe(at: number, was: number, is: number): readonly Step[] {
  const access = (count: number) => joinBytes(u64(at), u32(7, count));
  const read = (value: number) => step(command.read, access(4), joinBytes(access(4), u32(value)));
  const write = (value: number) => step(command.write, [access(4), u32(value)], access(4));
  return [read(was), write(0xffff_ffff), read(is), write(was)];
}

const configByte = (at: number, expected: Uint8Array) => {
  const access = joinBytes(u64(at), u32(7, expected.length));
  return step(command.read, access, joinBytes(access, expected));
};

const noIoEventFds = "no device of ours has such descriptors: the list is empty";
const ioFdsRow = (of: string, room: number): Row => ({
  of: `test_device_get_region_io_fds.${of}`,
  setup: "mappable",
  steps: [{ ...ioFds(16 + 48 * room, 2, u32(16, 0, 2, 0)), check: noCount }],
  differs: noIoEventFds,
});

const info = "test_device_get_region_info";
const io = "test_device_get_region_io_fds";

export const infoRows: readonly Row[] = [
  row(
    "test_device_get_info.test_device_get_info",
    "plain",
    step(command.info, u32(0, 0), "EINVAL"),
    step(command.info, u32(8, 0, 0, 0), "EINVAL"),
    step(command.info, u32(32, 0, 0, 0), u32(16, 3, 9, 5)),
  ),
  row(
    "test_device_get_irq_info.test_device_get_irq_info_bad_in",
    "migratable",
    step(command.irqInfo, u32(0, 0), "EINVAL"),
    irqInfo(8, 4, "EINVAL"),
    irqInfo(16, 5, "EINVAL"),
  ),
  row(
    "test_device_get_irq_info.test_device_get_irq_info",
    "migratable",
    irqInfo(32, 4, fine),
    irqInfo(16, 4, u32(16, 1, 4, 1)),
    irqInfo(16, 3, u32(16, 1, 3, 1)),
    irqInfo(16, 2, u32(16, 1, 2, 2048)),
  ),
  row(
    `${info}.test_device_get_region_info_short_write`,
    "mappable",
    step(command.regionInfo, u32(0, 0), "EINVAL"),
  ),
  row(`${info}.test_device_get_region_info_bad_argsz`, "mappable", askRegion(8, 1, "EINVAL")),
  row(`${info}.test_device_get_region_info_bad_index`, "mappable", askRegion(32, 9, "EINVAL")),
  row(
    `${info}.test_device_get_region_info_larger_argsz`,
    "mappable",
    askRegion(40, 1, regionInfo(32, 1, 3, 4096)),
  ),
  row(
    `${info}.test_device_get_region_info_small_argsz_caps`,
    "mappable",
    askRegion(32, 2, regionInfo(80, 2, 7, 0x8000, 0x8000), { check: noCount }),
  ),
  row(
    `${info}.test_device_get_region_info_caps`,
    "mappable",
    askRegion(
      80,
      2,
      joinBytes(
        ...[u32(80, 15, 2, 32), u64(0x8000, 0x8000), u16(1, 1), u32(0, 2, 0)],
        u64(0x2000, 0x1000, 0x4000, 0x2000),
      ),
      { check: oneFd },
    ),
    askRegion(1024, 3, fine, { check: oneFd }),
  ),
  {
    ...row(
      `${info}.test_device_get_pci_config_space_info_implicit_pci_init`,
      "plain",
      askRegion(40, 7, regionInfo(32, 7, 3, 256)),
    ),
    differs: "the configuration space is the device's own: here one of conventional PCI",
  },
  row(
    `${info}.test_device_get_pci_config_space_info_implicit_no_pci_init`,
    "plain",
    askRegion(40, 7, regionInfo(32, 7, 3, 256)),
  ),
  row(
    `${info}.test_device_get_region_info_32bit_bar_size_detection`,
    "bars",
    ...probe(0x10, 1, 0xffff_f001),
    ...probe(0x14, 0, 0xffff_e000),
  ),
  row(
    `${info}.test_64bit_bar_size_detection_protocol`,
    "large",
    ...[...probe(0x18, 4, 4), ...probe(0x1c, 0, 0xffff_ffff)],
    ...[...probe(0x20, 4, 4), ...probe(0x24, 0, 0xffff_fffe), ...probe(0x10, 0, 0)],
  ),
  row(
    "test_device_get_region_info_zero_size.test_device_get_region_info_zero_sized_region",
    "migratable",
    askRegion(32, 1, regionInfo(32, 1)),
  ),
  row(
    "test_setup_region.test_setup_region_large_64bit_bar_sizes",
    "large",
    askRegion(40, 2, regionInfo(32, 2, 1, 2 ** 32)),
    askRegion(40, 4, regionInfo(32, 4, 1, 2 ** 33)),
  ),
  row(
    "test_vfu_realize_ctx.test_vfu_realize_ctx_pci_bars",
    "bars",
    configByte(0x10, u32(1, 0, 4, 0, 12, 0)),
  ),
  row("test_vfu_realize_ctx.test_vfu_realize_ctx_irqs", "bars", configByte(0x3d, Uint8Array.of(1))),
  row("test_vfu_realize_ctx.test_vfu_realize_ctx_caps", "capabilities", configByte(6, u16(0x10))),

  row(`${io}.test_device_get_region_io_fds_bad_flags`, "mappable", ioFds(256, 2, "EINVAL", 1)),
  row(`${io}.test_device_get_region_io_fds_bad_count`, "mappable", ioFds(256, 2, "EINVAL", 0, 1)),
  row(`${io}.test_device_get_region_io_fds_buffer_too_small`, "mappable", ioFds(15, 2, "EINVAL")),
  row(
    `${io}.test_device_get_region_io_fds_buffer_too_large`,
    "mappable",
    ioFds((1 << 20) + 1, 2, "EINVAL"),
  ),
  row(`${io}.test_device_get_region_io_fds_no_fds`, "mappable", ioFds(512, 1, u32(16, 0, 1, 0))),
  row(`${io}.test_device_get_region_io_fds_no_regions_setup`, "mappable", ioFds(512, 4, "EINVAL")),
  row(
    `${io}.test_device_get_region_io_fds_region_no_mmap`,
    "mappable",
    ioFds(512, 5, u32(16, 0, 5, 0)),
  ),
  row(
    `${io}.test_device_get_region_io_fds_region_out_of_range`,
    "mappable",
    ioFds(512, 512, "EINVAL"),
  ),
  ioFdsRow("test_device_get_region_io_fds_fds_read_write", 10),
  ioFdsRow("test_device_get_region_io_fds_full", 6),
  ioFdsRow("test_device_get_region_io_fds_fds_read_write_nothing", 0),
  ioFdsRow("test_device_get_region_io_fds_fds_read_write_dupe_fd", 8),
  ioFdsRow("test_device_get_region_io_fds_invalid_fd", 5),
];
