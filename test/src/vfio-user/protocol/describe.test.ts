/** Lines of real conversations: libvfio-user with its sample client and with QEMU. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { commands } from "../../../../src/vfio-user/protocol/commands.ts";
import { messageSchema } from "../../../../src/vfio-user/protocol/describe.schema.ts";
import {
  describeMessage,
  type Message,
  messageJson,
} from "../../../../src/vfio-user/protocol/describe.ts";
import { decodeHeader } from "../../../../src/vfio-user/protocol/header.ts";
import { codecs } from "./codecs.ts";

const version =
  '{ "capabilities": { "max_msg_fds": 8, "max_data_xfer_size": 1048576, "migration": { "pgsize": 4096 } } }';

describe("lines", () => {
  test.each([
    [
      "< 55893 VERSION major 0 minor 2 capabilities {max_msg_fds 8 max_data_xfer_size 1048576 migration {pgsize 4096}}",
      message("server", `55da 0100 7d000000 01000000 00000000 0000 0200 ${text(`${version}\0`)}`),
    ],
    [
      "> 61455 REGION_READ region 3735928559 offset 0x0 count 4",
      message("client", "0ff0 0900 20000000 00000000 00000000 0000000000000000 efbeadde 04000000"),
    ],
    ["< 61455 REGION_READ EINVAL", message("server", "0ff0 0900 10000000 21000000 16000000")],
    [
      "< 7 DEVICE_GET_INFO flags RESET|PCI num_regions 9 num_irqs 5",
      message("server", "0700 0400 20000000 01000000 00000000 10000000 03000000 09000000 05000000"),
    ],
    [
      "> 43981 DEVICE_GET_REGION_INFO index 1 argsz 80",
      message(
        "client",
        `cdab 0500 60000000 00000000 00000000 50000000 00000000 01000000 ${"00".repeat(68)}`,
      ),
    ],
    [
      "< 43981 DEVICE_GET_REGION_INFO index 1 size 0x3000 offset 0x0 flags READ|WRITE|MMAP argsz 80",
      message(
        "server",
        "cdab 0500 30000000 01000000 00000000 50000000 07000000 01000000 00000000 0030000000000000 0000000000000000",
      ),
    ],
    [
      "< 43981 DEVICE_GET_REGION_INFO index 1 size 0x3000 offset 0x0 flags READ|WRITE|MMAP|CAPS argsz 80 areas [{offset 0x1000 size 0x1000}, {offset 0x2000 size 0x1000}], 1 fd",
      message(
        "server",
        "cdab 0500 60000000 01000000 00000000 50000000 0f000000 01000000 20000000 0030000000000000 0000000000000000 0100 0100 00000000 02000000 00000000 0010000000000000 0010000000000000 0020000000000000 0010000000000000",
        1,
      ),
    ],
    [
      "> 4661 DMA_MAP addr 0x1000 size 0x1000 offset 0x1000 flags READ|WRITE, 1 fd",
      message(
        "client",
        "3512 0200 30000000 00000000 00000000 20000000 03000000 0010000000000000 0010000000000000 0010000000000000",
        1,
      ),
    ],
    ["< 4661 DMA_MAP ok", message("server", "3512 0200 10000000 01000000 00000000")],
    [
      "> 7 DMA_UNMAP addr 0x1000 size 0x1000 flags 0",
      message(
        "client",
        "0700 0300 28000000 00000000 00000000 18000000 00000000 0010000000000000 0010000000000000",
      ),
    ],
    [
      "< 15 DEVICE_GET_IRQ_INFO index 3 count 1 flags EVENTFD",
      message("server", "0f00 0700 20000000 01000000 00000000 10000000 01000000 03000000 01000000"),
    ],
    [
      "> 25 DEVICE_SET_IRQS index 3 start 0 count 1 action trigger kind eventfd, 1 fd",
      message(
        "client",
        "1900 0800 24000000 00000000 00000000 14000000 24000000 03000000 00000000 01000000",
        1,
      ),
    ],
    [
      "< 17 REGION_READ 00 00 00 00 (4 bytes)",
      message(
        "server",
        "1100 0900 24000000 01000000 00000000 3000000000000000 07000000 04000000 00000000",
      ),
    ],
    [
      "> 18 REGION_WRITE region 7 offset 0x30 00 f8 ff ff (4 bytes)",
      message(
        "client",
        "1200 0a00 24000000 00000000 00000000 3000000000000000 07000000 04000000 00f8ffff",
      ),
    ],
    [
      "< 18 REGION_WRITE count 4",
      message("server", "1200 0a00 20000000 01000000 00000000 3000000000000000 07000000 04000000"),
    ],
    [
      "< 6 DMA_READ addr 0x400 count 1024",
      message("server", "0600 0b00 20000000 00000000 00000000 0004000000000000 0004000000000000"),
    ],
    [
      `> 6 DMA_READ ${"42 ".repeat(32)}… (1024 bytes)`,
      message(
        "client",
        `0600 0b00 20040000 01000000 00000000 0004000000000000 0004000000000000 ${"42".repeat(1024)}`,
      ),
    ],
    ["> 29 DEVICE_RESET", message("client", "1d00 0d00 10000000 00000000 00000000")],
    [
      "> 0 DEVICE_FEATURE feature DMA_LOGGING_START operations SET page_size 0x1000 ranges []",
      message(
        "client",
        "0000 1000 28000000 00000000 00000000 18000000 06000200 0010000000000000 0000000000000000",
      ),
    ],
    [
      "> 0 DEVICE_FEATURE feature DMA_LOGGING_STOP operations SET 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 (16 bytes)",
      message(
        "client",
        "0000 1000 28000000 00000000 00000000 18000000 07000200 0010000000000000 0000000000000000",
      ),
    ],
    [
      "< 153 DEVICE_FEATURE feature DMA_LOGGING_REPORT operations GET iova 0x1000 length 0x1000 page_size 0x1000 bitmap 01 00 00 00 00 00 00 00 (8 bytes)",
      message(
        "server",
        "9900 1000 38000000 01000000 00000000 28000000 08000100 0010000000000000 0010000000000000 0010000000000000 0100000000000000",
      ),
    ],
    [
      "> 64177 DEVICE_FEATURE feature MIG_DEVICE_STATE operations SET state PRE_COPY",
      message("client", "b1fa 1000 20000000 00000000 00000000 10000000 02000200 06000000 ffffffff"),
    ],
    [
      "> 26884 MIG_DATA_READ count 1024",
      message("client", "0469 1100 18000000 00000000 00000000 08040000 00040000"),
    ],
    [
      "< 26860 MIG_DATA_READ 75 ab 00 6b 00 00 00 00 (8 bytes)",
      message(
        "server",
        `ec68 1100 18040000 01000000 00000000 10000000 08000000 75ab006b00000000 ${"00".repeat(1016)}`,
      ),
    ],
  ])("%s", (line, message) => {
    expect(describeMessage(message)).toBe(line);
    expectJson(message);
  });

  test.each([
    [
      "> 1 DEVICE_FEATURE feature MIGRATION operations GET",
      message("client", "0100 1000 18000000 00000000 00000000 10000000 01000100"),
    ],
    [
      "< 1 DEVICE_FEATURE feature MIGRATION operations GET flags STOP_COPY|PRE_COPY|0x100",
      message("server", "0100 1000 20000000 01000000 00000000 10000000 01000100 0501000000000000"),
    ],
    [
      "> 1 DEVICE_FEATURE feature MIG_DEVICE_STATE operations GET",
      message("client", "0100 1000 18000000 00000000 00000000 10000000 02000100"),
    ],
    [
      "> 1 DEVICE_FEATURE feature DMA_LOGGING_START operations SET|PROBE",
      message("client", "0100 1000 18000000 00000000 00000000 08000000 06000600"),
    ],
    [
      "> 1 DEVICE_FEATURE feature 77 operations 0x80000000",
      message("client", "0100 1000 18000000 00000000 00000000 08000000 4d000080"),
    ],
    [
      "> 2 REGION_WRITE region 0 offset 0x8 01 (1 byte), no reply",
      message(
        "client",
        "0200 0a00 21000000 10000000 00000000 0800000000000000 00000000 01000000 01",
      ),
    ],
    [
      "> 3 VERSION malformed: expected JSON that a NUL ends at offset 0x4, found no NUL: 00 00 01 00 7b 7d (6 bytes)",
      message("client", "0300 0100 16000000 00000000 00000000 00000100 7b7d"),
    ],
    [
      "> 3 VERSION major 0 minor 1 capabilities {} unknown [a\\u{1b}b, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…]",
      message(
        "client",
        `0300 0100 40000000 00000000 00000000 00000100 ${text(`{"a\\u001bb": 1, "${"x".repeat(60)}": 2}\0`)}`,
      ),
    ],
    [
      "> 4 MIG_DATA_READ count 1",
      message("client", "0400 1100 18000000 20000000 16000000 09000000 01000000"),
    ],
    ["< 4 DEVICE_RESET error", message("server", "0400 0d00 10000000 21000000 00000000")],
    [
      "< 4 DEVICE_FEATURE EINVAL",
      message("server", "0400 1000 20000000 21000000 16000000 10000000 02000200 05000000 ffffffff"),
    ],
    [
      "< 4 DEVICE_RESET malformed: expected 0 bytes of data at offset 0x0, found 1: 07 (1 byte)",
      message("server", "0400 0d00 11000000 01000000 00000000 07"),
    ],
    ["> 5 command 14", message("client", "0500 0e00 10000000 00000000 00000000")],
    [
      "> 5 command 99 0102 (2 bytes), 2 fds".replace("0102", "01 02"),
      message("client", "0500 6300 12000000 00000000 00000000 0102", 2),
    ],
    [
      `> 5 REGION_WRITE_MULTI writes [${"{region 2 offset 0x1 03 04 (2 bytes)}, ".repeat(8)}1 more]`,
      message(
        "client",
        `0500 0f00 f0000000 00000000 00000000 0900000000000000 ${"0100000000000000 02000000 02000000 0304000000000000".repeat(9)}`,
      ),
    ],
  ])("%s", (line, message) => {
    expect(describeMessage(message)).toBe(line);
    expectJson(message);
  });
});

describe("JSON", () => {
  test("of a command, with numbers that are exact", () => {
    const bytes =
      "0100 0200 30000000 00000000 00000000 20000000 13000000 0010000000000000 000000000000f0ff ffffffffffff1f00";
    expect(messageJson(message("client", bytes, 1))).toEqual({
      ...{ from: "client", id: 1, type: "command", command: "DMA_MAP", size: 48, fds: 1 },
      fields: {
        addr: "0xfff0000000000000",
        size: Number.MAX_SAFE_INTEGER,
        offset: 4096,
        flags: ["READ", "WRITE", "0x10"],
      },
    });
  });

  test("of data, an error, a posted write, what is malformed, and a command that is not known", () => {
    const write = "0200 0a00 34000000 10000000 00000000 0800000000000000 00000000";
    const common = { from: "client", id: 2, type: "command" };
    expect(messageJson(message("client", `${write} 24000000 ${"61".repeat(36)}`))).toEqual({
      ...common,
      ...{ command: "REGION_WRITE", size: 52, fds: 0, noReply: true },
      fields: { region: 0, offset: 8, data: { bytes: 36, hex: "61".repeat(32) } },
    });
    expect(messageJson(message("client", `${write} 02000000 61`))).toEqual({
      ...common,
      ...{ command: "REGION_WRITE", size: 52, fds: 0, noReply: true },
      malformed: { offset: 16, expected: "2 bytes of data", found: "1" },
      payload: { bytes: 17, hex: "0800000000000000000000000200000061" },
    });
    expect(messageJson(message("server", "0200 0900 10000000 21000000 16000000"))).toEqual({
      ...{ from: "server", id: 2, type: "reply", command: "REGION_READ", size: 16, fds: 0 },
      error: { errno: 22, name: "EINVAL" },
    });
    expect(messageJson(message("client", "0200 6300 11000000 00000000 00000000 61"))).toEqual({
      ...common,
      ...{ command: 99, size: 17, fds: 0, fields: { data: { bytes: 1, hex: "61" } } },
    });
  });
});

test("any message is a line that is safe to show, and JSON that its schema takes", () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 120, size: "max" }),
    ...Object.values(codecs).map(({ encoded }) => encoded),
  );
  const header = fc.record({
    id: fc.nat(0xffff),
    command: fc.oneof(fc.constantFrom(...Object.values(commands)), fc.nat(0xffff)),
    size: fc.nat(0xffff_ffff),
    type: fc.constantFrom("command" as const, "reply" as const),
    noReply: fc.boolean(),
    isError: fc.boolean(),
    errno: fc.nat(0xffff_ffff),
  });
  const messages = fc.record({
    from: fc.constantFrom("client" as const, "server" as const),
    header,
    payload,
    fds: fc.nat(300),
  });
  fc.assert(
    fc.property(messages, (message) => {
      expect(describeMessage(message)).toMatch(/^[<>] \d+ [^\n\p{Cc}]{1,3000}$/u);
      expectJson(message);
    }),
    { numRuns: 2000 },
  );
});

function expectJson(message: Message): void {
  const json = JSON.parse(JSON.stringify(messageJson(message)));
  expect(messageSchema.parse(json)).toEqual(json);
}

function message(from: Message["from"], hex: string, fds = 0): Message {
  const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
  return { from, header: decodeHeader(bytes, 1 << 20), payload: bytes.subarray(16), fds };
}

function text(text: string): string {
  return new TextEncoder().encode(text).toHex();
}
