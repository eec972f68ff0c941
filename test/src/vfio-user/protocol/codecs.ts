/** Every encoder and decoder of the protocol, with the values that go through them. */
import fc from "fast-check";
import { featureFlags, features } from "../../../../src/vfio/feature.ts";
import { deviceStates } from "../../../../src/vfio/states.ts";
import {
  decodeDeviceInfo,
  encodeDeviceInfo,
} from "../../../../src/vfio-user/protocol/device-info.ts";
import * as dma from "../../../../src/vfio-user/protocol/dma.ts";
import * as feature from "../../../../src/vfio-user/protocol/feature.ts";
import { decodeHeader, encodeHeader } from "../../../../src/vfio-user/protocol/header.ts";
import * as irq from "../../../../src/vfio-user/protocol/irq.ts";
import * as migrationData from "../../../../src/vfio-user/protocol/migration-data.ts";
import * as region from "../../../../src/vfio-user/protocol/region.ts";
import * as regionInfo from "../../../../src/vfio-user/protocol/region-info.ts";
import * as regionIoFds from "../../../../src/vfio-user/protocol/region-io-fds.ts";
import { decodeVersion, encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";

export interface Codec {
  readonly decode: (bytes: Uint8Array) => unknown;
  /** Some value's bytes. */
  readonly encoded: fc.Arbitrary<Uint8Array>;
  /** What `decode` gives for some bytes, beside these. */
  readonly pairs: fc.Arbitrary<{ readonly bytes: Uint8Array; readonly value: unknown }>;
}

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const u64 = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 0xffff_ffff_ffff_ffffn));
const data = fc.uint8Array({ maxLength: 40, size: "max" });
const place = { offset: u64, size: u64, fd_index: u32, flags: u32 };

/** `expected`: what comes back, where it is more than the value. */
function codec<V>(
  value: fc.Arbitrary<V>,
  encode: (value: V) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
  expected: (value: V) => unknown = (value) => value,
): Codec {
  const pairs = value.map((value) => ({ bytes: encode(value), value: expected(value) }));
  return { decode, pairs, encoded: pairs.map(({ bytes }) => bytes) };
}

const capabilities = fc.record(
  {
    max_msg_fds: u16,
    max_data_xfer_size: u32,
    max_dma_maps: u32,
    pgsizes: fc.constantFrom(4096, 2 ** 63),
    write_multiple: fc.boolean(),
    twin_socket: fc.record({ supported: fc.boolean(), fd_index: u16 }, { requiredKeys: [] }),
    migration: fc.record({ pgsize: u32, max_bitmap_size: u32 }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const unmap = fc.record({ flags: u32.map((flags) => (flags & ~1) >>> 0), addr: u64, size: u64 });
const dirtyUnmap = fc
  .record({ addr: u64, size: u64, pgsize: u64, bits: data })
  .map(({ addr, size, pgsize, bits }) => ({
    ...{ flags: dma.dmaUnmapFlags.GET_DIRTY_BITMAP, addr, size },
    bitmap: { pgsize, size: BigInt(bits.length) },
    bits,
  }));
const write = fc.record({ offset: u64, region: u32, data: fc.uint8Array({ maxLength: 8 }) });
const request = fc.record({ index: u32, argsz: u32.map((size) => Math.max(size, 32)) });
const pageSize = fc.bigInt(0n, 63n).map((bit) => 1n << bit);
const subRegion = fc.oneof(
  fc.record({ type: fc.constant("ioeventfd" as const), ...place, datamatch: u64 }),
  fc.record({ type: fc.constant("ioregionfd" as const), ...place, user_data: u64 }),
  fc.record({
    type: fc.constant("ioeventfd-shadow" as const),
    ...place,
    datamatch: u64,
    shadow_mem_fd_index: u32,
    shadow_offset: u64,
  }),
);

export const codecs: Readonly<Record<string, Codec>> = {
  header: codec(
    fc.record({
      id: u16,
      command: u16,
      size: u32.map((size) => Math.max(size, 16)),
      type: fc.constantFrom("command" as const, "reply" as const),
      noReply: fc.boolean(),
      isError: fc.boolean(),
      errno: u32,
    }),
    encodeHeader,
    (bytes) => decodeHeader(bytes, 0xffff_ffff),
  ),
  version: codec(
    fc.record({ major: u16, minor: u16, capabilities }, { requiredKeys: ["major", "minor"] }),
    encodeVersion,
    decodeVersion,
    (version) => ({ ...version, unknown: [] }),
  ),
  "DMA map": codec(
    fc.record({ flags: u32, offset: u64, addr: u64, size: u64 }),
    dma.encodeDmaMap,
    dma.decodeDmaMap,
  ),
  "DMA unmap": codec(
    fc.oneof(
      unmap,
      dirtyUnmap.map(({ bits: _, ...unmap }) => unmap),
    ),
    dma.encodeDmaUnmap,
    dma.decodeDmaUnmap,
  ),
  "DMA unmap's reply": codec(
    dirtyUnmap,
    ({ bits, ...unmap }) => dma.encodeDmaUnmapReply(unmap, bits),
    dma.decodeDmaUnmapReply,
  ),
  "DMA access": codec(
    fc.record({ addr: u64, count: u64 }),
    dma.encodeDmaAccess,
    dma.decodeDmaAccess,
  ),
  "DMA data": codec(fc.record({ addr: u64, data }), dma.encodeDmaData, dma.decodeDmaData),
  "device info": codec(
    fc.record({ flags: u32, num_regions: u32, num_irqs: u32 }),
    encodeDeviceInfo,
    decodeDeviceInfo,
  ),
  "region access": codec(
    fc.record({ offset: u64, region: u32, count: u32 }),
    region.encodeRegionAccess,
    region.decodeRegionAccess,
  ),
  "region data": codec(
    fc.record({ offset: u64, region: u32, data }),
    region.encodeRegionData,
    region.decodeRegionData,
  ),
  "region writes": codec(
    fc.array(write, { maxLength: 4 }),
    region.encodeRegionWrites,
    region.decodeRegionWrites,
  ),
  "region writes' reply": codec(
    u64,
    region.encodeRegionWritesReply,
    region.decodeRegionWritesReply,
  ),
  "region info's request": codec(
    request,
    regionInfo.encodeRegionInfoRequest,
    regionInfo.decodeRegionInfoRequest,
  ),
  "region info": codec(
    fc.record(
      {
        flags: fc.nat(7),
        index: u32,
        size: u64,
        offset: u64,
        areas: fc.array(fc.record({ offset: u64, size: u64 }), { maxLength: 4 }),
      },
      { requiredKeys: ["flags", "index", "size", "offset"] },
    ),
    (info) => regionInfo.encodeRegionInfo(info, 1000),
    regionInfo.decodeRegionInfo,
    ({ flags, ...info }) => ({
      ...info,
      flags: info.areas ? flags | regionInfo.regionFlags.CAPS : flags,
      argsz: 32 + (info.areas ? 16 + 16 * info.areas.length : 0),
      otherCapabilities: [],
    }),
  ),
  "region descriptors' request": codec(
    request,
    regionIoFds.encodeRegionIoFdsRequest,
    regionIoFds.decodeRegionIoFdsRequest,
  ),
  "region descriptors": codec(
    fc.record({ index: u32, subRegions: fc.array(subRegion, { maxLength: 4 }) }),
    (fds) => regionIoFds.encodeRegionIoFds(fds, 1000),
    regionIoFds.decodeRegionIoFds,
    (fds) => ({ ...fds, argsz: 16 + 48 * fds.subRegions.length, count: fds.subRegions.length }),
  ),
  "interrupt info": codec(
    fc.record({ flags: u32, index: u32, count: u32 }),
    irq.encodeIrqInfo,
    irq.decodeIrqInfo,
  ),
  "interrupt set": codec(
    fc
      .record({
        data: fc.constantFrom("none" as const, "bool" as const, "eventfd" as const),
        action: fc.constantFrom("mask" as const, "unmask" as const, "trigger" as const),
        index: u32,
        start: u32,
        bools: data,
      })
      .map(({ bools, ...set }) =>
        set.data === "bool"
          ? { ...set, count: bools.length, bools }
          : { ...set, count: bools.length },
      ),
    irq.encodeIrqSet,
    irq.decodeIrqSet,
  ),
  feature: codec(
    fc.record({
      feature: fc.constantFrom(...Object.values(features)),
      operations: fc.constantFrom(...Object.values(featureFlags)),
      data,
    }),
    (value) => feature.encodeFeature(value, 16),
    feature.decodeFeature,
    (value) => ({ ...value, argsz: 8 + Math.max(16, value.data.length) }),
  ),
  migration: codec(u64, feature.encodeMigration, feature.decodeMigration),
  "migration state": codec(
    fc.constantFrom(...deviceStates),
    feature.encodeMigState,
    feature.decodeMigState,
  ),
  "DMA logging": codec(
    fc.record({
      page_size: u64,
      ranges: fc.array(fc.record({ iova: u64, length: u64 }), { maxLength: 4 }),
    }),
    feature.encodeDmaLoggingStart,
    feature.decodeDmaLoggingStart,
  ),
  "DMA logging report": codec(
    fc.record({ iova: u64, length: u64, page_size: pageSize }),
    feature.encodeDmaLoggingReport,
    feature.decodeDmaLoggingReport,
  ),
  "DMA logging report's reply": codec(
    fc
      .record({ iova: u64, page_size: pageSize, words: fc.nat(4), byte: fc.nat(255) })
      .map(({ iova, page_size, words, byte }) => ({
        report: { iova, page_size, length: page_size * 64n * BigInt(words) },
        bitmap: new Uint8Array(8 * words).fill(byte),
      }))
      .filter(({ report }) => report.length < 1n << 64n),
    ({ report, bitmap }) => feature.encodeDmaLoggingReportReply(report, bitmap),
    feature.decodeDmaLoggingReportReply,
    ({ report, bitmap }) => ({ ...report, bitmap }),
  ),
  "migration data's request": codec(
    fc.nat(0xffff_fff7),
    migrationData.encodeMigDataRead,
    migrationData.decodeMigDataRead,
  ),
  "migration data": codec(data, migrationData.encodeMigData, migrationData.decodeMigData),
};
