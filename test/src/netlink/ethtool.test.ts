import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { featureOf, ringsOf, spreadOf } from "../../../src/netlink/ethtool.ts";
import { nameOf, queuesOf } from "../../../src/netlink/interfaces.ts";
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  nestAttribute,
  textAttribute,
  u32Attribute,
} from "../../../src/netlink/message.ts";
import { refusalsOf } from "../refusal.ts";
import { arbitraryBytes } from "./arbitrary.ts";

const { attempt } = refusalsOf("PROTOCOL");

test.each([
  [[], { split: undefined, threshold: undefined }],
  [[u8(11, 0)], { split: undefined, threshold: undefined }],
  [[u8(11, 1), u32Attribute(17, 256)], { split: "off", threshold: 256 }],
  [[u8(11, 2), u32Attribute(17, 0)], { split: "on", threshold: 0 }],
  [[u8(11, 3)], { split: undefined, threshold: undefined }],
])("rings: %j", (reply, expected) => {
  expect(ringsOf(reply)).toEqual(expected);
});

describe("a feature", () => {
  test.each([
    [
      "is on",
      bits(
        [
          ["other", true],
          ["mine", true],
        ],
        ["mine"],
      ),
      "on",
    ],
    ["is on for ever", bits([["mine", false]], ["mine"]), "on"],
    ["is off", bits([["mine", true]], ["other"]), "off"],
    [
      "cannot be had",
      bits(
        [
          ["mine", false],
          ["other", true],
        ],
        ["other"],
      ),
      "never",
    ],
    ["is not known", bits([["other", true]], []), undefined],
    ["is not told of", [], undefined],
  ])("%s", (_, reply, expected) => {
    expect(featureOf(reply, "mine")).toBe(expected);
  });
});

test("the queues of a spread, each once and in order", () => {
  expect(spreadOf([{ type: 4, value: bytesOf32([2, 0, 2, 1, 0]) }])).toEqual([0, 1, 2]);
  expect(spreadOf([{ type: 4, value: new Uint8Array() }])).toBeUndefined();
  expect(spreadOf([{ type: 4, value: new Uint8Array(6) }])).toBeUndefined();
  expect(spreadOf([])).toBeUndefined();
});

test("receive queues are counted, those that send are not", () => {
  const queue = (type: number, id: number) => [u32Attribute(3, type), u32Attribute(1, id)];
  expect(queuesOf([queue(0, 0), queue(0, 1), queue(1, 0), queue(1, 1), queue(1, 2)])).toBe(2);
  expect(queuesOf([queue(1, 0)])).toBeUndefined();
  expect(queuesOf([])).toBeUndefined();
});

test("an interface's name stands behind its header", () => {
  const attributes = encodeAttributes([u32Attribute(4, 1500), textAttribute(3, "eth0")]);
  expect(nameOf(new Uint8Array([...new Uint8Array(16), ...attributes]))).toBe("eth0");
  expect(nameOf(new Uint8Array(3))).toBeUndefined();
});

test("of any bytes something is made, or PROTOCOL", () => {
  fc.assert(
    fc.property(arbitraryBytes, fc.nat(20), (bytes, type) => {
      attempt(() => nameOf(bytes));
      const { value: attributes = [] } = attempt(() => decodeAttributes(bytes));
      for (const reply of [attributes, [{ type, value: bytes }]]) {
        expect(["on", "off", undefined]).toContain(ringsOf(reply).split);
        attempt(() => featureOf(reply, "mine"));
        expect(spreadOf(reply)?.length ?? 0).toBeLessThanOrEqual(bytes.length / 4);
        expect(queuesOf([reply]) ?? 1).toBe(1);
      }
    }),
  );
});

/** As the kernel makes it: all with whether they can be changed, then a list of those that are on. */
function bits(all: readonly (readonly [string, boolean])[], active: readonly string[]) {
  const bit = (name: string, ...rest: readonly Attribute[]) =>
    nestAttribute(1, [u32Attribute(1, 0), textAttribute(2, name), ...rest]);
  const flag = { type: 3, value: new Uint8Array() };
  const changeable = all.map(([name, can]) => bit(name, ...(can ? [flag] : [])));
  const encoded = encodeAttributes([
    nestAttribute(2, [u32Attribute(2, 64), nestAttribute(3, changeable)]),
    nestAttribute(4, [
      flagOf(1),
      nestAttribute(
        3,
        active.map((name) => bit(name)),
      ),
    ]),
  ]);
  return decodeAttributes(encoded);
}

function flagOf(type: number): Attribute {
  return { type, value: new Uint8Array() };
}

function u8(type: number, value: number): Attribute {
  return { type, value: Uint8Array.of(value) };
}

function bytesOf32(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(numbers).buffer);
}
