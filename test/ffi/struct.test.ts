/** Structs: as JavaScript names them, as C lays them out. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseLayouts, Struct } from "../../ffi/struct.ts";
import { finishStruct, moveStruct, noticeStruct, waitStruct } from "../../ffi/structs.ts";

test("what is packed is read back", () => {
  const value = fc.record({
    timeout_ms: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
    fd: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    events: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    event_fd: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
    reserved: fc.constant(0),
  });
  fc.assert(
    fc.property(value, (values) => {
      expect(waitStruct.unpack(waitStruct.pack(values))).toEqual(values);
    }),
  );
});

test("bytes are read back too, and are a copy", () => {
  const packed = noticeStruct.pack({ info: 7, offender: Uint8Array.of(1, 2, 3) });
  const notice = noticeStruct.unpack(packed);
  packed.fill(0);
  expect(notice.info).toBe(7);
  expect([...notice.offender.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
  expect(notice.offender).toHaveLength(32);
});

test("fields that are not given are 0, and -1 fills 64 bits", () => {
  const bytes = moveStruct.pack({ limit: -1 });
  expect(moveStruct.unpack(bytes)).toMatchObject({ limit: 2 ** 64, chunk: 0, mover: 0 });
  expect(finishStruct.allocate().length).toBe(16);
});

test.each([
  ["no_such_struct", { fd: "i32" }, /no struct/],
  ["zc_finish", { linger_ms: "i64", fd: "i64", event_fd: "i32" }, /zc_finish.fd differs/],
  ["zc_finish", { linger_ms: "i64", fd: "i32" }, /zc_finish.event_fd is not declared/],
  [
    "zc_finish",
    { linger_ms: "i64", fd: "i32", event_fd: "i32", more: "u32" },
    /zc_finish.more differs/,
  ],
] as const)("a declaration of %s that C does not share is refused", (name, fields, expected) => {
  expect(() => new Struct(name, fields).allocate()).toThrow(expected);
});

test("layouts are lines of text", () => {
  const layouts = parseLayouts("a * 0 12\na x 0 8\na y 8 4\nb * 0 4\nb z 0 4\n");
  expect(layouts.get("a")).toEqual({
    size: 12,
    fields: new Map([
      ["x", { offset: 0, size: 8 }],
      ["y", { offset: 8, size: 4 }],
    ]),
  });
  expect(layouts.get("b")?.fields.get("z")).toEqual({ offset: 0, size: 4 });
});
