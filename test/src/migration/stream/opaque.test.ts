/** Where a device ends: its bytes can look like its own footer. */
import { expect, test } from "vitest";
import { counted, joined, u8, u32, u64 } from "../../../../src/migration/stream/joined.ts";
import { parseAlone } from "../parse.ts";
import { encodeRecord } from "../records.ts";

const footer = (id: number) => joined(u8(0x7e), u32(id));
const text = new TextEncoder().encode('{"devices":[]}');
const end = joined(u8(0), u8(6), u32(text.length), text);
const ram = joined(
  ...[u8(1), u32(2), counted("ram"), u32(0), u32(4)],
  ...[encodeRecord({ kind: "end" }), footer(2)],
);

function payloadOf(device: Uint8Array): string | undefined {
  const head = joined(u8(4), u32(0), counted("timer"), u32(0), u32(2));
  const header = Uint8Array.fromHex("5145564d00000003");
  const { elements } = parseAlone(joined(header, ram, head, device, footer(0), end));
  const [full] = elements.flatMap((element) => (element.type === "full" ? [element] : []));
  return full?.payload.kind === "opaque" ? full.payload.bytes.toHex() : undefined;
}

test.each([
  ["the stream's end", joined(u64(0x7e), u64(0), u64(1))],
  ["the stream's end, and a description's type", joined(u64(0x7e), u64(0x0006), u64(7))],
  ["a command's number", joined(footer(0), u8(8), u64(0x0001_0001_0000_0000n))],
  ["a section that never started", joined(footer(0), u8(2), u32(77), u64(0))],
  ["a header without a name", joined(footer(0), u8(4), u32(1), u8(0), u64(0), u64(0))],
  [
    "a header of another version than any has",
    joined(footer(0), u8(1), u32(1), counted("a"), u64(2 ** 32 - 1)),
  ],
])("not before %s", (_, device) => {
  expect(payloadOf(device)).toBe(device.toHex());
});
