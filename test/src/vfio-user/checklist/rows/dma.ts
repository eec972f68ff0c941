/** test_dma_map.py, test_dma_unmap.py, test_dirty_pages.py, test_quiesce.py */
import { expect } from "vitest";
import { joinBytes } from "../../../../../src/vfio/record.ts";
import { dmaMapsMax } from "../../../../../src/vfio-user/server/limits.ts";
import { u32, u64 } from "../raw-client.ts";
import { command, fine, type Row, type Step, step } from "../row.ts";
import type { Setup } from "../setups.ts";

const page = 4096;
const readWrite = 3;

function map(addr: number, size: number, expected: Step["expect"], more: Partial<Step> = {}): Step {
  return step(command.dmaMap, [u32(32, readWrite), u64(0, addr, size)], expected, more);
}

interface Unmap {
  readonly argsz?: number;
  readonly flags?: number;
  readonly addr?: number;
  readonly size?: number;
  readonly bitmap?: readonly [pageSize: number | bigint, size: number | bigint];
}

function unmap(
  { argsz, flags = 0, addr = 0, size = 0, bitmap }: Unmap,
  expected: Step["expect"],
): Step {
  const tail = bitmap === undefined ? new Uint8Array(0) : u64(...bitmap);
  const payload = joinBytes(u32(argsz ?? 24 + tail.length, flags), u64(addr, size), tail);
  return step(command.dmaUnmap, payload, expected);
}

const unmapped = (flags: number, addr: number, size: number) =>
  joinBytes(u32(24, flags), u64(addr, size));

const row = (of: string, steps: Row["steps"], more: Partial<Row> = {}): Row => ({
  of,
  setup: "migratable",
  steps,
  ...more,
});

const get = 1 << 16;
const set = 1 << 17;
const startFeature = 6;
const stopFeature = 7;
const reportFeature = 8;

function startLog(pageSize: number, expected: Step["expect"]): Step {
  return step(command.feature, [u32(24, startFeature | set), u64(pageSize), u32(0, 0)], expected);
}

interface Report {
  readonly addr?: number;
  readonly length?: number;
  readonly pageSize?: number;
}

const first = 0x10 * page;

/** A bitmap of one word, or an errno's name. */
function report(
  expected: string | bigint,
  { addr = first, length = 0x10 * page, pageSize = page }: Report = {},
): Step {
  const payload = joinBytes(u32(8 + 24 + 8, reportFeature | get), u64(addr, length, pageSize));
  return step(
    command.feature,
    payload,
    typeof expected === "string" ? expected : joinBytes(payload, u64(expected)),
  );
}

/** The device writes to so many pages from there. */
const written =
  (...pages: readonly (readonly [at: number, count: number])[]) =>
  async ({ device }: Setup) => {
    for (const [at, count] of pages)
      await device.bus.write(BigInt(at * page), new Uint8Array(count * page));
  };

const readOnly = async ({ device }: Setup) =>
  void (await device.bus.read(BigInt(0x11 * page), page));

/** 32 pages with a file of 32 pages, and 16 without. */
const mapped = [
  map(first, 0x20 * page, fine, { file: 0x20 * page }),
  map(0x40 * page, 0x10 * page, fine),
];
const logged = [...mapped, startLog(page, fine)];
const some = written([0x10, 1], [0x16, 4]);
const dirty = "test_dirty_pages";
const un = "test_dma_unmap";
/** Bits of single writes, and of those that are told of together. */
const edges: readonly (readonly [bits: bigint, at: number, count: number])[] = [
  [0b1n, 0x10, 1],
  [0b1000_0000n, 0x17, 1],
  [0b0111_1111n, 0x10, 7],
  [0b1111_1111n, 0x10, 8],
  [0b1_1111_1111n, 0x10, 9],
  [0b1_1000_0000n, 0x17, 2],
  [1n << 15n, 0x1f, 1],
];
const whole: Report = { length: 0x20 * page };

export const dmaRows: readonly Row[] = [
  row("test_dma_map.test_dma_region_too_big", [map(first, 8 * 2 ** 40 + page, "ENOSPC")]),
  row(
    "test_dma_map.test_dma_region_too_many",
    [
      ...Array.from({ length: dmaMapsMax }, (_, at) => map(page * (at + 1), page, fine)),
      map(page * (dmaMapsMax + 1), page, "EINVAL"),
    ],
    { differs: "the limit is not 64, but another" },
  ),
  row("test_dma_map.test_dma_map_reply_fail", [map(first, page, fine)], {
    after: ({ device }) => expect(device.events).toContain("reset disconnected"),
  }),

  row(`${un}.test_dma_unmap_short_write`, [step(command.dmaUnmap, u32(0, 0), "EINVAL")]),
  row(`${un}.test_dma_unmap_bad_argsz`, [unmap({ argsz: 8, addr: page, size: page }, "EINVAL")]),
  row(`${un}.test_dma_unmap_bad_argsz2`, [
    map(page, page, fine),
    unmap({ argsz: (1 << 20) + 8, addr: page, size: page }, "EINVAL"),
  ]),
  row(`${un}.test_dma_unmap_dirty_bad_argsz`, [
    unmap({ flags: 1, addr: page, size: page, bitmap: [page, (1n << 64n) - 33n] }, "EINVAL"),
  ]),
  row(`${un}.test_dma_unmap_dirty_not_tracking`, [
    map(page, page, fine),
    unmap({ argsz: 48, flags: 1, addr: page, size: page, bitmap: [page, 8] }, "EINVAL"),
  ]),
  row(`${un}.test_dma_unmap_invalid_flags`, [
    map(0, page, fine),
    unmap({ flags: 4, size: page }, "EINVAL"),
  ]),
  row(`${un}.test_dma_unmap`, [map(0, page, fine), unmap({ size: page }, unmapped(0, 0, page))]),
  row(`${un}.test_dma_unmap_invalid_addr`, [
    map(0, page, fine),
    unmap({ addr: first, size: page }, "ENOENT"),
  ]),
  row(`${un}.test_dma_unmap_all`, [
    ...Array.from({ length: 64 }, (_, at) => map(page * at, page, fine)),
    unmap({ flags: 2 }, unmapped(2, 0, 0)),
    unmap({ size: page }, "ENOENT"),
  ]),
  row(`${un}.test_dma_unmap_all_invalid_addr`, [
    unmap({ flags: 2, addr: first, size: page }, "EINVAL"),
  ]),
  row(`${un}.test_dma_unmap_all_invalid_flags`, [unmap({ flags: 3 }, "EINVAL")]),

  row(`${dirty}.test_dirty_pages_start_zero_pgsize`, [...mapped, startLog(0, "EINVAL")]),
  row(`${dirty}.test_dirty_pages_start`, [...mapped, startLog(page, fine), startLog(page, fine)]),
  row(`${dirty}.test_dirty_pages_start_different_pgsize`, [
    ...logged,
    startLog(page / 2, "EINVAL"),
    startLog(page * 2, "EINVAL"),
  ]),
  row(`${dirty}.test_dirty_pages_get_unmodified`, [...logged, report(0n)]),
  row(`${dirty}.test_dirty_pages_get_modified`, [
    ...logged,
    ...[some, report(0b11_1100_0001n)],
    ...[some, report(0b1111_1111_0000_0000_0011n, { pageSize: page / 2 })],
    ...[some, report(0b1_1001n, { pageSize: page * 2 })],
    ...[some, report(1n, { pageSize: page * 16 }), report(0n, { pageSize: page * 16 })],
    ...[readOnly, written([0x12, 1]), report(0b100n), report(0n)],
    ...edges.flatMap(([bits, at, count]) => [written([at, count]), report(bits)]),
    ...[written([0x27, 1]), report(1n << 23n, whole)],
    ...[written([0x26, 1], [0x12, 2]), report((1n << 22n) | 0b1100n, whole)],
  ]),
  row(`${dirty}.test_dirty_pages_invalid_arguments`, [
    ...logged,
    report("ENOENT", { addr: 0xdead_beef }),
    report("EOPNOTSUPP", { addr: first + 1, length: 0x20 * page - 1 }),
    report("EINVAL", { pageSize: 1 << 24 }),
    report("EINVAL", { addr: 0x40 * page }),
  ]),
  row(`${dirty}.test_dirty_pages_stop`, [
    ...logged,
    step(command.feature, [u32(24, stopFeature | set), u64(page), u32(0, 0)], fine),
    report("EINVAL"),
  ]),
  row(`${dirty}.test_dirty_pages_uninitialised_dma`, [startLog(page, "EINVAL"), report("EINVAL")], {
    setup: "plain",
  }),
  row(`${dirty}.test_dirty_pages_ctx_no_stop`, [
    map(first, 0x10 * page, fine, { file: 0x10 * page }),
    map(0x30 * page, 0x10 * page, fine, { file: 0x10 * page }),
    startLog(page, fine),
    written([0x10, 1], [0x30, 1]),
    unmap({ addr: first, size: 0x10 * page }, fine),
    report("ENOENT"),
    report(1n, { addr: 0x30 * page }),
  ]),

  row(
    "test_quiesce.test_allowed_funcs_in_quiesced_migration",
    [
      map(first, page, fine, { file: page }),
      step(command.feature, u32(16, 2 | set, 1, 0), fine),
      ({ data }) => expect([...data]).toEqual([0, 1, 2, 3]),
    ],
    { setup: "reaching" },
  ),
  row(
    "test_quiesce.test_allowed_funcs_in_quiesced_reset",
    [
      map(first, page, fine, { file: page }),
      step(command.reset, [], fine),
      ({ data }) => expect([...data]).toEqual([0, 1, 2, 3]),
    ],
    { setup: "reaching" },
  ),
];
