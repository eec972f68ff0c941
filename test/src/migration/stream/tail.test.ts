/** Streams without footers: the description tells where devices end, if it is one of these bytes. */
import { describe, expect, test } from "vitest";
import { counted, joined, u8, u32 } from "../../../../src/migration/stream/joined.ts";
import { parseAlone } from "../parse.ts";
import { encodeRecord } from "../records.ts";

const header = Uint8Array.fromHex("5145564d00000003");
const ram = joined(
  ...[u8(1), u32(3), counted("ram"), u32(0), u32(4)],
  encodeRecord({ kind: "end" }),
);
const eof = u8(0);

test("devices as the description has them", () => {
  const devices = joined(device("a", "0102"), device("b", "03"), eof);
  const { elements } = parseAlone(
    joined(header, ram, devices, description(field("a", 2), field("b", 1))),
  );
  expect(elements.slice(2)).toMatchObject([
    { type: "full", name: "a", offset: 33, length: 17, hasFooter: false },
    { type: "full", name: "b", offset: 50, length: 16 },
    { type: "eof", offset: 66, length: 1 },
    { type: "description", offset: 67 },
  ]);
});

test.each([0x06, 0x0606, 0x0706, 0x060a, 0x010606])("a description of %i bytes", (length) => {
  const begin = '{"devices":[]';
  const text = `${begin}${" ".repeat(Math.max(length - begin.length - 1, 0))}}`;
  const { elements } = parseAlone(joined(header, ram, device("a", "06"), eof, described(text)));
  expect(elements.at(-1)?.type).toBe("undelimited");
  const known = text.replace("[]", `[${JSON.stringify(field("a", 1))}]`);
  const { elements: told } = parseAlone(
    joined(header, ram, device("a", "06"), eof, described(known)),
  );
  expect(told.at(-1)?.type).toBe("description");
});

describe("what cannot be told apart", () => {
  test.each([
    ["no description", joined(device("a", "01"), eof)],
    ["a description of nothing", joined(device("a", "01"), eof, described(""))],
    ["no JSON", joined(device("a", "01"), eof, described("{"))],
    ["another device", joined(device("a", "01"), eof, description(field("b", 1)))],
    ["too few bytes", joined(device("a", "01"), eof, description(field("a", 9)))],
    ["too many bytes", joined(device("a", "0102"), eof, description(field("a", 1)))],
    ["bytes behind it", joined(device("a", "01"), eof, description(field("a", 1)), u8(0))],
    [
      "half a description",
      joined(device("a", "01"), eof, description(field("a", 1)).subarray(0, -1)),
    ],
  ])("%s", (_, bytes) => {
    const { elements, encoded } = parseAlone(joined(header, ram, bytes));
    expect(elements.at(-1)).toMatchObject({ type: "undelimited", length: bytes.length });
    expect(encoded.toHex()).toBe(joined(header, ram, bytes).toHex());
  });
});

describe("little time for", () => {
  const many = 1 << 17;

  test.each([
    [
      "elements of no bytes, of many devices",
      joined(
        ...Array.from({ length: many }, () => device("a", "")),
        eof,
        described(
          JSON.stringify({
            devices: [{ ...field("a", 0), fields: [{ ...data(0), array_len: 4e6 }] }],
          }),
        ),
      ),
    ],
    [
      "many devices, each of which is sought among many",
      joined(
        ...Array.from({ length: 30_000 }, (_, i) => device(`d${i}`, "")),
        eof,
        description(...Array.from({ length: 30_000 }, (_, i) => field(`d${i}`, 0))),
      ),
    ],
    ["what may be many descriptions", candidates(4 << 20)],
  ])("%s", (_, bytes) => {
    const begin = performance.now();
    parseAlone(joined(header, ram, bytes));
    expect(performance.now() - begin).toBeLessThan(15_000);
  });
});

/** At each sixth byte a description seems to begin, of just as many bytes as are left. */
function candidates(size: number): Uint8Array {
  const bytes = new Uint8Array(size).fill(0x7b);
  const view = new DataView(bytes.buffer);
  for (let at = 20; at + 6 < size; at += 6) {
    bytes[at] = 6;
    view.setUint32(at + 1, size - at - 5);
  }
  bytes.set(device("a", ""));
  return bytes;
}

function device(name: string, hex: string): Uint8Array {
  return joined(u8(4), u32(5), counted(name), u32(0), u32(1), Uint8Array.fromHex(hex));
}

function field(name: string, size: number) {
  return { name, instance_id: 0, fields: [data(size)] };
}

function data(size: number) {
  return { name: "data", type: "buffer", size };
}

function description(...devices: readonly object[]): Uint8Array {
  return described(JSON.stringify({ devices }));
}

function described(text: string): Uint8Array {
  return joined(u8(6), u32(text.length), new TextEncoder().encode(text));
}
