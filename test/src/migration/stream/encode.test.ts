/** Elements as bytes, against QEMU's: hw/, migration/savevm.c and ram.c. */
import { expect, test } from "vitest";
import type { Element } from "../../../../src/migration/stream/elements.ts";
import { encodeBlock, encodeSizes } from "../../../../src/migration/stream/encode-ram.ts";
import { encodeRecord, encodeWith, type RamRecord } from "../records.ts";

const at = { offset: 0, length: 0 };
const bytes = Uint8Array.of(1, 2);
const device = { id: 5, name: "dev", instance: 6, version: 7, hasFooter: true } as const;
const opaque = { kind: "opaque", bytes } as const;
const ram = { kind: "ram", length: 2, blocks: [], flushes: 0 } as const;
const counts = { normal: 0, zero: 0, xbzrle: 0, again: 0, empty: 0, bytes: 0 };
const uuid = "000102030405060708090a0b0c0d0e0f";

test.each<[string, Element, string]>([
  ["header", { type: "header", version: 3, ...at }, "5145564d 00000003"],
  ["eof", { type: "eof", ...at }, "00"],
  ["machine", { type: "configuration", machine: "pc", ...at }, "07 00000002 7063"],
  [
    "all of a configuration",
    { type: "configuration", machine: "", pageBits: 12, capabilities: ["a", "bc"], uuid, ...at },
    `07 00000000
     05 1e ${hexOf("configuration/target-page-bits")} 00000001 0000000c
     05 1a ${hexOf("configuration/capabilities")} 00000001 00000002 01 61 02 6263
     05 12 ${hexOf("configuration/uuid")} 00000001 ${uuid}`,
  ],
  [
    "full",
    { type: "full", ...device, payload: opaque, ...at },
    "04 00000005 03 646576 00000006 00000007 0102 7e 00000005",
  ],
  [
    "start",
    { type: "start", ...device, hasFooter: false, payload: opaque, ...at },
    "01 00000005 03 646576 00000006 00000007 0102",
  ],
  ["part", { type: "part", ...device, payload: opaque, ...at }, "02 00000005 0102 7e 00000005"],
  [
    "end of RAM",
    { type: "end", ...device, payload: { ...ram, counts }, ...at },
    "03 00000005 aabb 7e 00000005",
  ],
  [
    "command",
    { type: "command", number: 2, name: "ping", data: bytes, ...at },
    "08 0002 0002 0102",
  ],
  ["description", { type: "description", text: bytes, ...at }, "06 00000002 0102"],
  ["undelimited", { type: "undelimited", bytes, ...at }, "0102"],
  ["trailing", { type: "trailing", ...at }, "aabb"],
])("%s", (_, element, hex) => {
  expect(encodeWith(element, Uint8Array.of(0xaa, 0xbb)).toHex()).toBe(hex.replace(/\s/g, ""));
});

test.each<[string, RamRecord, string]>([
  ["end", { kind: "end" }, "0000000000000010"],
  ["flush", { kind: "flush" }, "0000000000000200"],
  ["page", { kind: "page", offset: 0x2000, block: "m", bytes }, "0000000000002008 01 6d 0102"],
  ["page of the same block", { kind: "page", offset: 0, bytes }, "0000000000000028 0102"],
  ["zero", { kind: "zero", offset: 0, block: "m" }, "0000000000000002 01 6d 00"],
  ["far", { kind: "zero", offset: 2 ** 43 }, "0000080000000022 00"],
  ["xbzrle", { kind: "xbzrle", offset: 0, bytes }, "0000000000000060 01 0002 0102"],
])("record: %s", (_, record, hex) => {
  expect(encodeRecord(record).toHex()).toBe(hex.replace(/\s/g, ""));
});

test.each([
  ["plain", {}, ""],
  ["huge pages", { pageSize: 2 << 20 }, "0000000000200000"],
  ["shared", { guestAddress: 2n ** 64n - 1n }, "ffffffffffffffff"],
  [
    "mapped",
    { mapped: { version: 1, pageSize: 4096, bitmapOffset: 5, pagesOffset: 6 } },
    "00000001 0000000000001000 0000000000000005 0000000000000006",
  ],
])("block: %s", (_, more, hex) => {
  const expected = `01 6d 0000000000002000 ${hex}`.replace(/\s/g, "");
  expect(encodeBlock({ name: "m", size: 8192, ...more }).toHex()).toBe(expected);
});

test("a list begins with the blocks' sum", () => {
  expect(encodeSizes(0x4000000).toHex()).toBe("0000000004000004");
});

test("no name is longer than its length can say", () => {
  const block = { name: "é".repeat(128), size: 1 };
  expect(() => encodeBlock(block)).toThrow("a name of 256 bytes");
});

function hexOf(text: string): string {
  return Buffer.from(text).toString("hex");
}
