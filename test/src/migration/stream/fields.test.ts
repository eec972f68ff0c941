/** A device's bytes, as descriptions say that they are, or are not. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Field, Structure } from "../../../../src/migration/stream/description.ts";
import { Budget, decodeDevice, Mismatch } from "../../../../src/migration/stream/fields.ts";

function decode(fields: readonly object[], hex: string, more: object = {}) {
  const device = { name: "dev", instance_id: 0, fields: fields as readonly Field[], ...more };
  return decodeDevice(device, Uint8Array.fromHex(hex.replace(/\s/g, "")));
}

describe("one field", () => {
  test.each([
    ["int8", "ff", -1],
    ["uint8", "ff", 255],
    ["uint8 equal", "10", 16],
    ["int16", "8000", -32768],
    ["uint16", "8000", 32768],
    ["int32", "ffffffff", -1],
    ["int32 le", "fffffffe", -2],
    ["uint32", "ffffffff", 4294967295],
    ["int64", "ffffffffffffffff", -1],
    ["int64", "8000000000000000", "0x8000000000000000"],
    ["uint64", "001fffffffffffff", Number.MAX_SAFE_INTEGER],
    ["uint64", "0020000000000000", "0x20000000000000"],
    ["uint64", "ffffffffffffffff", "0xffffffffffffffff"],
    ["timer", "ffffffffffffffff", -1],
    ["bool", "00", false],
    ["bool", "01", true],
    ["bool", "", ""],
    ["bool", "0001", "0001"],
    ["nullptr", "30", null],
    ["ptr-marker", "31", true],
    ["capability", "03616263", "abc"],
    ["buffer", "0102", "0102"],
    ["buffer", "", ""],
    ["uint32", "0102", "0102"],
    ["uint64", "010203040506070809", "010203040506070809"],
    ["something new", "0102", "0102"],
    ["__proto__", "01", "01"],
  ])("%s %s", (type, hex, value) => {
    const { fields, length } = decode([{ name: "f", type, size: hex.length / 2 }], hex);
    expect(fields).toEqual({ f: value });
    expect(length).toBe(hex.length / 2);
  });

  test("whatever its name", () => {
    const names = ["__proto__", "constructor", "toString", ""];
    const { fields } = decode(
      names.map((name) => ({ name, type: "uint8", size: 1 })),
      "01020304",
    );
    expect(Object.entries(fields)).toEqual(names.map((name, i) => [name, i + 1]));
  });
});

describe("several", () => {
  const byte = { name: "a", type: "uint8", size: 1 };

  test.each([
    ["an array", [{ ...byte, array_len: 3 }], "010203", { a: [1, 2, 3] }],
    ["an array of one", [{ ...byte, array_len: 1 }], "01", { a: [1] }],
    ["an array of none", [{ ...byte, array_len: 0 }], "", { a: [] }],
    ["elements with indices", [0, 1].map((index) => ({ ...byte, index })), "0102", { a: [1, 2] }],
    [
      "an array in pieces",
      [
        { ...byte, array_len: 2 },
        { ...byte, index: 2 },
        { ...byte, array_len: 2 },
      ],
      "0102030405",
      { a: [1, 2, 3, 4, 5] },
    ],
    ["the same name twice", [byte, byte, byte], "010203", { a: [1, 2, 3] }],
    [
      "pointers, some of them null",
      [
        { name: "p", type: "nullptr", size: 1, index: 0 },
        { name: "p", type: "uint16", size: 2, index: 1 },
        { name: "p", type: "nullptr", size: 1, index: 2 },
      ],
      "30 0102 30",
      { p: [null, 258, null] },
    ],
    [
      "structures in structures",
      [structure("s", 3, [byte, structure("t", 2, [{ ...byte, name: "b", array_len: 2 }])])],
      "010203",
      { s: { a: 1, t: { b: [2, 3] } } },
    ],
    [
      "an array of structures",
      [{ ...structure("s", 1, [byte]), array_len: 2 }],
      "0102",
      { s: [{ a: 1 }, { a: 2 }] },
    ],
    ["a structure of nothing", [structure("s", 0, [])], "", { s: {} }],
  ])("%s", (_, fields, hex, values) => {
    expect(decode(fields, hex).fields).toEqual(values);
  });

  test("subsections, in structures too", () => {
    const sub = (name: string): Structure => ({ vmsd_name: name, version: 1, fields: [byte] });
    const inner = {
      ...structure("s", 11, [byte]),
      struct: { fields: [byte], subsections: [sub("s/x")] },
    };
    const hex = "01 05 03 732f78 00000001 02  05 01 79 00000001 03";
    const { fields, length } = decode([inner], hex, { subsections: [sub("y")] });
    expect(fields).toEqual({ s: { a: 1, "s/x": { a: 2 } }, y: { a: 3 } });
    expect(length).toBe(19);
  });

  test("bytes that are left are not looked at", () => {
    expect(decode([byte], "0102")).toEqual({ fields: { a: 1 }, length: 1 });
  });
});

describe("what does not match", () => {
  const byte = { name: "a", type: "uint8", size: 1 };
  const sub = { vmsd_name: "d/x", fields: [byte] };

  test.each([
    ["too few bytes", [{ ...byte, size: 3 }], "0102", {}, "dev/a: 1 of 3 bytes, and 2 are left"],
    ["too few elements", [{ ...byte, array_len: 3 }], "01", {}, "dev/a: 3 of 1 bytes, and 1 are"],
    ["a size without end", [{ ...byte, size: 2 ** 53 - 1 }], "01", {}, "and 1 are left"],
    ["an array without end", [{ ...byte, array_len: 2 ** 53 - 1 }], "01", {}, "and 1 are left"],
    [
      "elements of nothing",
      [{ ...byte, size: 0, array_len: 2 ** 53 - 1 }],
      "",
      {},
      "too many fields",
    ],
    [
      "a structure's size",
      [structure("s", 2, [byte])],
      "0102",
      {},
      "dev/s: 1 bytes of fields, and 2",
    ],
    ["a structure's fields", [structure("s", 1, [byte, byte])], "0102", {}, "dev/s: 2 bytes of"],
    ["a pointer that is neither", [{ ...byte, type: "nullptr" }], "32", {}, "dev/a: 32 where"],
    ["no subsection", [], "06", { subsections: [sub] }, "dev: no subsection d/x"],
    ["another subsection", [], "05 03 642f79 00000001 01", { subsections: [sub] }, "no subsection"],
    ["half a subsection", [], "05 03 642f78 0000", { subsections: [sub] }, "no subsection d/x"],
    ["a subsection of no name", [], "05 00 00000001", { subsections: [{}] }, "no subsection"],
    ["deep structures", [nested(100)], "01", {}, "more than 64 structures deep"],
    ["a long path", [{ ...byte, name: "n".repeat(100_000) }], "", {}, "…: 1 of 1 bytes"],
  ])("%s", (_, fields, hex, more, message) => {
    const begin = performance.now();
    expect(() => decode(fields, hex, more)).toThrow(Mismatch);
    expect(() => decode(fields, hex, more)).toThrow(message);
    expect(performance.now() - begin).toBeLessThan(5000);
    try {
      decode(fields, hex, more);
    } catch (error) {
      expect(String(error).length).toBeLessThan(500);
    }
  });

  test("many elements with indices take no more time than elements", () => {
    const fields = Array.from({ length: 200_000 }, (_, index) => ({ ...byte, index }));
    const begin = performance.now();
    const { length } = decodeDevice(
      { name: "dev", instance_id: 0, fields },
      new Uint8Array(200_000),
    );
    expect(length).toBe(200_000);
    expect(performance.now() - begin).toBeLessThan(15_000);
  });

  test("what all devices may have together", () => {
    const budget = new Budget(4000);
    const device = {
      name: "dev",
      instance_id: 0,
      fields: [{ ...byte, size: 0, array_len: 1000 }],
    };
    for (let i = 0; i < 4; i++) decodeDevice(device, new Uint8Array(), budget);
    expect(() => decodeDevice(device, new Uint8Array(), budget)).toThrow("too many fields");
  });

  test("any description of any bytes: fields, or a mismatch", () => {
    const { field } = fc.letrec<{ field: Field; struct: Structure }>((tie) => ({
      field: fc.record(
        {
          name: fc.string({ maxLength: 3 }),
          type: fc.constantFrom(
            "uint8",
            "uint32",
            "bool",
            "struct",
            "nullptr",
            "capability",
            "buffer",
          ),
          size: fc.oneof(fc.nat(4), fc.maxSafeNat()),
          array_len: fc.oneof(fc.nat(3), fc.maxSafeNat()),
          index: fc.nat(3),
          struct: tie("struct"),
        },
        { requiredKeys: ["name", "type", "size"] },
      ) as fc.Arbitrary<Field>,
      struct: fc.record(
        {
          vmsd_name: fc.string({ maxLength: 2 }),
          fields: fc.array(tie("field"), { maxLength: 3, depthIdentifier: "f" }),
          subsections: fc.array(tie("struct"), { maxLength: 1, depthIdentifier: "f" }),
        },
        { requiredKeys: [] },
      ) as fc.Arbitrary<Structure>,
    }));
    fc.assert(
      fc.property(
        fc.array(field, { maxLength: 4 }),
        fc.uint8Array({ maxLength: 20 }),
        (fields, bytes) => {
          try {
            const device = { name: "dev", instance_id: 0, fields };
            expect(decodeDevice(device, bytes).length).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect(error).toBeInstanceOf(Mismatch);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

function structure(name: string, size: number, fields: readonly object[]): Field {
  return { name, type: "struct", size, struct: { fields: fields as readonly Field[] } };
}

function nested(depth: number): Field {
  return depth === 0
    ? { name: "a", type: "uint8", size: 1 }
    : structure("s", 1, [nested(depth - 1)]);
}
