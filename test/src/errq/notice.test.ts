/** Messages of an error queue, as they are told. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeNotice } from "../../../src/errq/describe.ts";
import { errqSchema } from "../../../src/errq/notice.schema.ts";
import { toNotice } from "../../../src/errq/notice.ts";

const raw = {
  ...{ read_ns: 0, latency_ns: -1, stamp_s: 0, stamp_ns: 0, origin: 5, error: 0, type: 0, code: 0 },
  ...{ info: 0, data: 0, hardware: 0, reserved: 0, offender: new Uint8Array(32) },
};
const inet = Uint8Array.from({ ...new Array(32).fill(0), length: 32, 0: 2, 4: 10, 7: 1 });

test.each([
  [
    { info: 0xffffffff, data: 1, code: 1, latency_ns: 1500 },
    "zerocopy      sends 4294967295 to 1: the first copied, after 1.5 µs",
  ],
  [{ info: 7, data: 7 }, "zerocopy      send 7: not copied"],
  [
    { origin: 2, error: 111, type: 3, code: 3, offender: inet },
    "icmp          ECONNREFUSED, type 3, code 3, from 10.0.0.1",
  ],
  [{ origin: 1, error: 90 }, "local         EMSGSIZE, type 0, code 0"],
  [
    { origin: 4, error: 42, info: 2, data: 99, stamp_s: 101, stamp_ns: 5000 },
    "timestamping  acked      id 99, at 1000.005 ms",
  ],
  [{ origin: 6, error: 125, code: 2, data: 1 }, "txtime        missed, asked for 4294967296 ns"],
  [{ origin: 9, error: 5, info: 1 }, "9             EIO, type 0, code 0, info 1, data 0"],
])("%j: %s", (fields, line) => {
  const notice = toNotice({ ...raw, ...fields }, 100);
  expect(describeNotice(notice)).toBe(line);
  expect(errqSchema.parse(JSON.parse(JSON.stringify(notice)))).toEqual(notice);
});

test("whatever the kernel says fits the schema, and is one line", () => {
  const u32 = fc.nat(0xffffffff);
  const any = fc.record({
    ...{ read_ns: fc.maxSafeNat(), latency_ns: fc.integer({ min: -1 }), stamp_s: fc.nat() },
    ...{ stamp_ns: fc.nat(999_999_999), origin: fc.nat(255), error: u32, type: fc.nat(255) },
    ...{ code: fc.nat(255), info: u32, data: u32, hardware: fc.nat(1), reserved: fc.constant(0) },
    offender: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  });
  const likely = fc.tuple(any, fc.nat(7)).map(([notice, origin]) => ({ ...notice, origin }));
  fc.assert(
    fc.property(fc.oneof(any, likely), fc.nat(), (given, since) => {
      const notice = toNotice(given, since);
      errqSchema.parse(JSON.parse(JSON.stringify(notice)));
      expect(describeNotice(notice)).not.toMatch(/\p{Cc}/u);
    }),
  );
});
