/** Messages as libvfio-user, its sample client and QEMU send them, and ones that nobody should. */
import { describe, expect, test } from "vitest";
import { featureFlags, features } from "../../../../src/vfio/feature.ts";
import { commandName, commands, senderOf } from "../../../../src/vfio-user/protocol/commands.ts";
import {
  decodeDeviceInfo,
  encodeDeviceInfo,
} from "../../../../src/vfio-user/protocol/device-info.ts";
import {
  decodeDmaData,
  decodeDmaMap,
  decodeDmaUnmap,
  encodeDmaMap,
  encodeDmaUnmap,
} from "../../../../src/vfio-user/protocol/dma.ts";
import {
  decodeDmaLoggingReport,
  decodeDmaLoggingReportReply,
  decodeDmaLoggingStart,
  decodeFeature,
  decodeMigState,
  dmaLoggingBitmapSize,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
  encodeFeature,
  encodeMigState,
} from "../../../../src/vfio-user/protocol/feature.ts";
import {
  decodeHeader,
  encodeHeader,
  messageSizeMax,
} from "../../../../src/vfio-user/protocol/header.ts";
import {
  decodeIrqInfo,
  decodeIrqSet,
  encodeIrqSet,
} from "../../../../src/vfio-user/protocol/irq.ts";
import {
  decodeMigData,
  decodeMigDataRead,
  encodeMigDataRead,
} from "../../../../src/vfio-user/protocol/migration-data.ts";
import {
  decodeRegionData,
  decodeRegionWrites,
  encodeRegionAccess,
  encodeRegionData,
  encodeRegionWrites,
} from "../../../../src/vfio-user/protocol/region.ts";
import {
  decodeRegionInfo,
  decodeRegionInfoRequest,
  encodeRegionInfo,
  encodeRegionInfoRequest,
} from "../../../../src/vfio-user/protocol/region-info.ts";
import {
  decodeRegionIoFds,
  decodeRegionIoFdsRequest,
  encodeRegionIoFds,
} from "../../../../src/vfio-user/protocol/region-io-fds.ts";
import { decodeVersion, encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import { refusalsOf } from "../../refusal.ts";

const { refusal } = refusalsOf("PROTOCOL");

const header = (type: "command" | "reply", errno = 0) => ({
  ...{ id: 0xf00f, command: 9, size: 32, type, errno },
  ...{ noReply: false, isError: errno !== 0 },
});
const access = { offset: 0x30n, region: 7, count: 4 };
const areas = [
  { offset: 0x1000n, size: 0x1000n },
  { offset: 0x2000n, size: 0x1000n },
];
const info = { flags: 7, index: 1, size: 0x3000n, offset: 0n };
const report = { iova: 0x1000n, length: 0x1000n, page_size: 0x1000n };

describe("sent as the peers do", () => {
  test.each([
    ["a header", encodeHeader(header("command")), "0ff0 0900 20000000 00000000 00000000"],
    ["an error", encodeHeader(header("reply", 22)), "0ff0 0900 20000000 21000000 16000000"],
    [
      "a posted write",
      encodeHeader({ ...header("command"), noReply: true }),
      "0ff0 0900 20000000 10000000 00000000",
    ],
    ["no capabilities", encodeVersion({ major: 0, minor: 2 }), "0000 0200"],
    [
      "a DMA map",
      encodeDmaMap({ flags: 3, offset: 0x1000n, addr: 0x1000n, size: 0x1000n }),
      "20000000 03000000 0010000000000000 0010000000000000 0010000000000000",
    ],
    [
      "a DMA unmap",
      encodeDmaUnmap({ flags: 0, addr: 0x1000n, size: 0x1000n }),
      "18000000 00000000 0010000000000000 0010000000000000",
    ],
    [
      "a DMA unmap with its dirty bitmap",
      encodeDmaUnmap({ flags: 1, addr: 0n, size: 4096n, bitmap: { pgsize: 4096n, size: 8n } }),
      "30000000 01000000 0000000000000000 0010000000000000 0010000000000000 0800000000000000",
    ],
    [
      "device info",
      encodeDeviceInfo({ flags: 3, num_regions: 9, num_irqs: 5 }),
      "10000000 03000000 09000000 05000000",
    ],
    [
      "a request of region info",
      encodeRegionInfoRequest({ index: 1, argsz: 0x50 }),
      "50000000 00000000 01000000 00000000 0000000000000000 0000000000000000",
    ],
    [
      "region info without room for its areas",
      encodeRegionInfo({ ...info, areas }, 0x20),
      "50000000 07000000 01000000 00000000 0030000000000000 0000000000000000",
    ],
    [
      "region info",
      encodeRegionInfo({ ...info, areas }, 0x50),
      "50000000 0f000000 01000000 20000000 0030000000000000 0000000000000000 0100 0100 00000000 02000000 00000000 0010000000000000 0010000000000000 0020000000000000 0010000000000000",
    ],
    [
      "eventfds",
      encodeIrqSet({ data: "eventfd", action: "trigger", index: 3, start: 0, count: 1 }),
      "14000000 24000000 03000000 00000000 01000000",
    ],
    [
      "bools",
      encodeIrqSet({
        ...{ data: "bool", action: "unmask", index: 2, start: 1, count: 2 },
        bools: Uint8Array.of(0, 1),
      }),
      "16000000 12000000 02000000 01000000 02000000 0001",
    ],
    [
      "region info without capabilities",
      encodeRegionInfo({ ...info, flags: 15 }, 0x50),
      "20000000 07000000 01000000 00000000 0030000000000000 0000000000000000",
    ],
    ["a read", encodeRegionAccess(access), "3000000000000000 07000000 04000000"],
    [
      "a write",
      encodeRegionData({ offset: 0x30n, region: 7, data: Uint8Array.of(0, 0xf8, 0xff, 0xff) }),
      "3000000000000000 07000000 04000000 00f8ffff",
    ],
    [
      "writes",
      encodeRegionWrites([{ offset: 1n, region: 2, data: Uint8Array.of(3, 4) }]),
      "0100000000000000 0100000000000000 02000000 02000000 0304000000000000",
    ],
    [
      "DMA logging",
      encodeFeature({
        feature: features.DMA_LOGGING_START,
        operations: featureFlags.SET,
        data: encodeDmaLoggingStart({ page_size: 0x1000n, ranges: [] }),
      }),
      "18000000 06000200 0010000000000000 00000000 00000000",
    ],
    [
      "a request of a report",
      encodeFeature(
        {
          feature: features.DMA_LOGGING_REPORT,
          operations: featureFlags.GET,
          data: encodeDmaLoggingReport({ ...report, iova: 0n }),
        },
        24 + Number(dmaLoggingBitmapSize(report)),
      ),
      "28000000 08000100 0000000000000000 0010000000000000 0010000000000000",
    ],
    [
      "a state",
      encodeFeature({
        feature: features.MIG_DEVICE_STATE,
        operations: featureFlags.SET,
        data: encodeMigState("PRE_COPY"),
      }),
      "10000000 02000200 06000000 ffffffff",
    ],
    ["a request of a device's data", encodeMigDataRead(0x400), "08040000 00040000"],
    [
      "descriptors without room for them",
      encodeRegionIoFds(
        {
          index: 2,
          subRegions: [
            { type: "ioeventfd", offset: 0n, size: 4n, fd_index: 0, flags: 0, datamatch: 0n },
          ],
        },
        63,
      ),
      "40000000 00000000 02000000 01000000",
    ],
  ])("%s", (_, bytes, expected) => {
    expect(bytes.toHex()).toBe(expected.replaceAll(" ", ""));
  });
});

describe("taken as the peers send it", () => {
  const qemu =
    '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}';

  test("QEMU's version", () => {
    expect(decodeVersion(version(qemu))).toEqual({
      major: 0,
      minor: 0,
      capabilities: {
        pgsizes: 4096,
        max_msg_fds: 16,
        max_dma_maps: 65535,
        max_data_xfer_size: 1048576,
        migration: { max_bitmap_size: 268435456, pgsize: 4096 },
        write_multiple: true,
      },
      unknown: [],
    });
  });

  test("a version with keys that nobody knows", () => {
    const text =
      '{"x": 1, "capabilities": {"max_msg_fds": 2, "constructor": 1, "twin_socket": {"y": [], "supported": true}, "migration": {"__proto__": 1}}}';
    expect(decodeVersion(version(text))).toEqual({
      major: 0,
      minor: 0,
      capabilities: { max_msg_fds: 2, twin_socket: { supported: true }, migration: {} },
      unknown: [
        "x",
        "capabilities.constructor",
        "capabilities.twin_socket.y",
        "capabilities.migration.__proto__",
      ],
    });
    expect(decodeVersion(version("{}"))).toMatchObject({ capabilities: {}, unknown: [] });
  });

  test("a sparse region that does not fit, and then does", () => {
    const short = decodeRegionInfo(
      hex("5000000007000000010000000000000000300000000000000000000000000000"),
    );
    expect(short).toEqual({ ...info, argsz: 0x50, otherCapabilities: [] });
    const whole = decodeRegionInfo(
      hex(
        "500000000f0000000100000020000000003000000000000000000000000000000100010000000000020000000000000000100000000000000010000000000000 0020000000000000 0010000000000000",
      ),
    );
    expect(whole).toEqual({ ...info, flags: 15, argsz: 0x50, otherCapabilities: [], areas });
  });

  test("what stands where capabilities would, without the flag of them", () => {
    const bytes = hex(`20000000 07000000 01000000 ffffffff 0030000000000000 0000000000000000 ff`);
    expect(decodeRegionInfo(bytes)).toEqual({ ...info, argsz: 32, otherCapabilities: [] });
  });

  test("capabilities that are not known, before and behind", () => {
    const type = "0200 0100 30000000 01000000 02000000";
    const sparse = "0100 0100 40000000 00000000 00000000";
    const bytes = hex(
      `48000000 08000000 00000000 20000000 ${"00".repeat(16)} ${type} ${sparse} 0300 0100 00000000`,
    );
    expect(decodeRegionInfo(bytes)).toMatchObject({ areas: [], otherCapabilities: [2, 3] });
  });

  test("descriptors, libvfio-user's and the specification's", () => {
    const place = { offset: 1n, size: 2n, fd_index: 3, flags: 4 };
    const start = `0100000000000000 0200000000000000 03000000`;
    const long = `40000000 00000000 02000000 01000000 ${start} 02000000 04000000 05000000 0600000000000000 0700000000000000`;
    expect(decodeRegionIoFds(hex(long)).subRegions).toEqual([
      {
        type: "ioeventfd-shadow",
        ...place,
        shadow_mem_fd_index: 5,
        shadow_offset: 6n,
        datamatch: 7n,
      },
    ]);
    const short = (type: string) =>
      hex(
        `38000000 00000000 02000000 01000000 ${start} ${type} 04000000 00000000 0900000000000000`,
      );
    expect(decodeRegionIoFds(short("00000000")).subRegions).toEqual([
      { type: "ioeventfd", ...place, datamatch: 9n },
    ]);
    expect(decodeRegionIoFds(short("01000000")).subRegions).toEqual([
      { type: "ioregionfd", ...place, user_data: 9n },
    ]);
    expect(decodeRegionIoFds(hex("40000000 00000000 02000000 01000000"))).toEqual({
      ...{ argsz: 64, index: 2, count: 1 },
      subRegions: [],
    });
  });

  test("a report of DMA logging", () => {
    const { feature, operations, data } = decodeFeature(
      hex("2800000008000100 0010000000000000 0010000000000000 0010000000000000 0100000000000000"),
    );
    expect([feature, operations]).toEqual([features.DMA_LOGGING_REPORT, featureFlags.GET]);
    expect(decodeDmaLoggingReportReply(data)).toEqual({
      ...report,
      bitmap: hex("0100000000000000"),
    });
  });

  test("padding behind the last of a device's data", () => {
    expect(decodeMigData(hex("1000000008000000 75ab006b00000000 0000000000000000"))).toEqual(
      hex("75ab006b00000000"),
    );
  });

  test("interrupts, disabled and by bools", () => {
    const none = "1400000021000000000000000000000000000000";
    expect(decodeIrqSet(hex(none))).toEqual({
      ...{ data: "none", action: "trigger", index: 0, start: 0, count: 0 },
    });
    expect(decodeIrqSet(hex("16000000 0a000000 02000000 01000000 02000000 0001"))).toEqual({
      ...{ data: "bool", action: "mask", index: 2, start: 1, count: 2, bools: hex("0001") },
    });
  });
});

describe("refused", () => {
  const map = "0000000000000000 0000000000000000 0000000000000000";
  test.each<[string, (bytes: Uint8Array) => unknown, string, string]>([
    ["a short header", sized, "00".repeat(15), "a header of 16 bytes at offset 0x0, found 15"],
    ["a size below the header", sized, "0000 0100 0f000000 00000000 00000000", "0x4, found 15"],
    [
      "a size that nobody agreed to",
      sized,
      "0000 0100 39001000 00000000 00000000",
      "found 1048633",
    ],
    ["a type", sized, "0000 0100 10000000 02000000 00000000", "a command or a reply at offset 0x8"],
    ["half a version", decodeVersion, "000000", "a version of 4 bytes"],
    ["JSON without a NUL", decodeVersion, "00000000 7b7d", "expected JSON that a NUL ends"],
    ["a NUL in JSON", decodeVersion, "00000000 7b7d0000", "a JSON object of capabilities"],
    ["no JSON", decodeVersion, "00000000 00", "a JSON object of capabilities"],
    ["a JSON that is none", decodeVersion, "00000000 7b00", "a JSON object of capabilities"],
    ["a list", decodeVersion, "00000000 5b5d00", "a JSON object of capabilities"],
    ["other than UTF-8", decodeVersion, "00000000 ff00", "expected JSON in UTF-8"],
    ["a short map", decodeDmaMap, "20000000", "a DMA map of 32 bytes at offset 0x0, found 4"],
    ["a map's argsz", decodeDmaMap, `1f000000 03000000 ${map}`, "an argsz of 32 or more"],
    [
      "a bitmap's argsz",
      decodeDmaUnmap,
      "2f000000 01000000 0000000000000000 0010000000000000 0010000000000000 0800000000000000",
      "an argsz of 48 or more",
    ],
    [
      "a bitmap beyond all",
      decodeDmaUnmap,
      "2f000000 01000000 0000000000000000 0010000000000000 0010000000000000 ffffffffffffffff",
      "found 18446744073709551615 bytes",
    ],
    [
      "no bitmap",
      decodeDmaUnmap,
      `28000000 01000000 ${map}`,
      "a bitmap of 16 bytes at offset 0x18",
    ],
    ["too few DMA data", decodeDmaData, "0000000000000000 ffffffffffffffff 00", "found 1"],
    ["too many DMA data", decodeDmaData, "0000000000000000 0000000000000000 00", "0 bytes of data"],
    [
      "too few of a region's data",
      decodeRegionData,
      "0000000000000000 00000000 02000000 00",
      "found 1",
    ],
    ["writes beyond the end", decodeRegionWrites, "ffffffffffffffff", "found 0"],
    [
      "a long write",
      decodeRegionWrites,
      "0100000000000000 0000000000000000 00000000 09000000 0000000000000000",
      "at most 8 bytes at offset 0x14, found 9",
    ],
    ["device info's argsz", decodeDeviceInfo, "0f000000 00000000 00000000 00000000", "16 or more"],
    ["region info's argsz", decodeRegionInfoRequest, `1f000000 00000000 ${map}`, "32 or more"],
    [
      "a capability in the struct",
      decodeRegionInfo,
      chain(31, ""),
      "at 32 or behind it at offset 0xc",
    ],
    ["a capability beyond the end", decodeRegionInfo, chain(0xffff_ffff, ""), "found 0 bytes"],
    [
      "a chain without end",
      decodeRegionInfo,
      chain(32, "0200 0100 20000000"),
      "at offset 0x24, found one at 32",
    ],
    [
      "more areas than there are",
      decodeRegionInfo,
      chain(32, "0100 0100 00000000 ffffffff 00000000 0000000000000000 0000000000000000"),
      "expected 4294967295 areas at offset 0x30, found room for 1",
    ],
    [
      "descriptors of another size",
      decodeRegionIoFds,
      `34000000 00000000 00000000 01000000 ${"00".repeat(36)}`,
      "an argsz for 1 sub-regions",
    ],
    [
      "more descriptors than there are",
      decodeRegionIoFds,
      `70000000 00000000 00000000 02000000 ${"00".repeat(48)}`,
      "expected 112 bytes at offset 0x0, found 64",
    ],
    [
      "a type of descriptor",
      decodeRegionIoFds,
      `38000000 00000000 00000000 01000000 ${"00".repeat(20)} 02000000 ${"00".repeat(16)}`,
      "a type of descriptor at offset 0x24, found 2",
    ],
    [
      "a type of descriptor, of libvfio-user's length",
      decodeRegionIoFds,
      `40000000 00000000 00000000 01000000 ${"00".repeat(20)} 03000000 ${"00".repeat(24)}`,
      "a type of descriptor at offset 0x24, found 3",
    ],
    ["descriptors' argsz", decodeRegionIoFdsRequest, `0f000000 ${"00".repeat(12)}`, "16 or more"],
    ["interrupt info's argsz", decodeIrqInfo, `0f000000 ${"00".repeat(12)}`, "16 or more"],
    ["an interrupt set's argsz", decodeIrqSet, `13000000 21${"00".repeat(15)}`, "20 or more"],
    ["two kinds of data", decodeIrqSet, irqSet("23000000"), "one kind of data at offset 0x4"],
    ["two actions", decodeIrqSet, irqSet("39000000"), "one action at offset 0x4"],
    ["a flag too many", decodeIrqSet, irqSet("21000080"), "found the flags 0x80000020"],
    ["too few bools", decodeIrqSet, irqSet("22000000"), "expected 1 bytes of data at offset 0x14"],
    ["a state", decodeMigState, "08000000 ffffffff", "a device's state at offset 0x0, found 8"],
    ["too many ranges", decodeDmaLoggingStart, "0010000000000000 ffffffff 00000000", "room for 0"],
    [
      "a page size of 3",
      decodeDmaLoggingReport,
      "0000000000000000 0010000000000000 0300000000000000",
      "a power of two at offset 0x10, found 3",
    ],
    ["a feature's argsz", decodeFeature, "07000000 01000100", "an argsz of 8 or more"],
    ["no page size", decodeDmaLoggingReport, map, "a power of two at offset 0x10, found 0"],
    [
      "too short a bitmap",
      decodeDmaLoggingReportReply,
      "0000000000000000 0000020000000000 0010000000000000",
      "expected 8 bytes of data at offset 0x18, found 0",
    ],
    ["a small argsz", decodeMigDataRead, "08000000 01000000", "an argsz of 9 or more"],
    ["too few of a device's data", decodeMigData, "09000000 02000000 00", "found 1"],
  ])("%s", (_, decode, bytes, expected) => {
    expect(refusal(() => decode(hex(bytes)))).toContain(expected);
  });

  test.each([
    ["max_msg_fds", '"many"'],
    ["max_data_xfer_size", "-1"],
    ["pgsizes", "0.5"],
    ["twin_socket", '{"supported": 1}'],
    ["migration", "[]"],
    ["write_multiple", "null"],
  ])("%s of %s", (key, value) => {
    const text = `{"capabilities": {"${key}": ${value}}}`;
    expect(refusal(() => decodeVersion(version(text)))).toContain(`expected capabilities.${key}`);
  });

  test("JSON that is too long or too deep", () => {
    const long = `{"capabilities": {}, "x": "${"y".repeat(65536)}"}`;
    expect(refusal(() => decodeVersion(version(long)))).toContain("65536 bytes of JSON or less");
    const deep = "[".repeat(65535);
    expect(refusal(() => decodeVersion(version(deep)))).toContain("a JSON object");
  });
});

test("commands", () => {
  for (const [name, number] of Object.entries(commands)) expect(commandName(number)).toBe(name);
  expect([commandName(0), commandName(14), commandName(19)]).toEqual(Array(3).fill(undefined));
  expect([senderOf("DMA_READ"), senderOf("DMA_WRITE")]).toEqual(["server", "server"]);
  expect(senderOf("REGION_WRITE")).toBe("client");
});

test("a bitmap has whole words", () => {
  const pages = (count: bigint) => dmaLoggingBitmapSize({ ...report, length: count * 4096n - 1n });
  expect([1n, 64n, 65n, 128n].map(pages)).toEqual([8n, 8n, 16n, 16n]);
});

function sized(bytes: Uint8Array) {
  return decodeHeader(bytes, messageSizeMax(1 << 20));
}

function version(json: string): Uint8Array {
  return new Uint8Array([0, 0, 0, 0, ...new TextEncoder().encode(`${json}\0`)]);
}

function chain(first: number, capabilities: string): string {
  const offset = new Uint8Array(Uint32Array.of(first).buffer).toHex();
  return `20000000 08000000 00000000 ${offset} ${"00".repeat(16)} ${capabilities}`;
}

function irqSet(flags: string): string {
  return `14000000 ${flags} 00000000 00000000 01000000`;
}

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}
