/** The bytes of the control connection that are no JSON: states, server errors, the cookie. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cookieSize,
  encodeCookie,
  makeCookie,
  parseCookie,
} from "../../../../src/bench/iperf3/cookie.ts";
import {
  describeServerError,
  encodeServerError,
  parseServerError,
  serverErrors,
} from "../../../../src/bench/iperf3/server-error.ts";
import { encodeState, parseState, states } from "../../../../src/bench/iperf3/states.ts";
import { attempt, bytesOf, refusal } from "./refusal.ts";

const anyBytes = fc.uint8Array({ maxLength: 64 });

describe("states", () => {
  test("what iperf3 3.12 says in a test, from the server and from the client", () => {
    const from = (side: "client" | "server", hex: string) =>
      Array.from(Uint8Array.fromHex(hex), (byte) => parseState(byte, side));
    expect(from("server", "090a01020d0e")).toEqual([
      ...["PARAM_EXCHANGE", "CREATE_STREAMS", "TEST_START", "TEST_RUNNING"],
      ...["EXCHANGE_RESULTS", "DISPLAY_RESULTS"],
    ]);
    expect(from("client", "0410")).toEqual(["TEST_END", "IPERF_DONE"]);
    expect(from("server", "fffe0b")).toEqual(["ACCESS_DENIED", "SERVER_ERROR", "SERVER_TERMINATE"]);
    expect(from("client", "0c")).toEqual(["CLIENT_TERMINATE"]);
  });

  test.each(Object.entries(states))("%s", (name, { byte, by }) => {
    const state = parseState(byte, by);
    expect(state).toBe(name);
    expect([...encodeState(state)]).toEqual([byte]);
  });

  test("each byte is a state of at most one side", () => {
    for (let byte = 0; byte < 256; byte++) {
      const sides = (["client", "server"] as const).filter(
        (side) => attempt(() => parseState(byte, side)).error === undefined,
      );
      expect(sides.length).toBeLessThanOrEqual(1);
    }
  });

  test("the other side's is refused", () => {
    expect(refusal(() => parseState(4, "server"))).toBe(
      "zc: [PROTOCOL] iperf3 state: expected one of a server's, found byte 4",
    );
    expect(refusal(() => parseState(99, "client"))).toContain("found byte 99");
  });
});

describe("server errors", () => {
  test.each([
    // iperf3 3.12, when it cannot set an MSS, and when a buffer cannot be so large.
    ["0000007b 00000016", "it cannot set that MSS (iperf3's error 123, its errno 22)"],
    ["0000008d 00000000", "its socket buffers cannot be so large (iperf3's error 141)"],
    // 3.21, after 40 seconds more than the test should take.
    ["000000a0 00000000", "the test did not end in time (iperf3's error 160)"],
    // 3.12, without an errno.
    ["0000008e", "it does not know this user and password (iperf3's error 142)"],
    ["000003e7 00000002", "iperf3's error 999, its errno 2"],
  ])("%s: %s", (hex, text) => {
    const error = parseServerError(Uint8Array.fromHex(hex.replaceAll(" ", "")));
    expect(describeServerError(error)).toBe(text);
  });

  test("each has a number of its own", () => {
    const numbers = Object.values(serverErrors).map(({ number }) => number);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test("parse gives back what was encoded", () => {
    const u32 = fc.nat(0xffffffff);
    fc.assert(
      fc.property(fc.record({ number: u32, errno: u32 }), (error) => {
        const part = Uint8Array.of(1, ...encodeServerError(error), 1).subarray(1, 9);
        expect(parseServerError(part)).toEqual(error);
      }),
    );
  });

  test("any bytes are an error or refused", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const { error } = attempt(() => parseServerError(bytes));
        expect(error === undefined).toBe(bytes.length === 4 || bytes.length === 8);
      }),
    );
  });
});

describe("the cookie", () => {
  test.each(["252txxmstjdzqql4t5gdjyqb76sei6beciqm", "host.example.1438090431.123456.0ab12"])(
    "%s",
    (cookie) => {
      expect(parseCookie(bytesOf(`${cookie}\0`))).toBe(cookie);
    },
  );

  test("a new one each time, as iperf3 makes it", () => {
    const cookies = Array.from({ length: 100 }, makeCookie);
    expect(new Set(cookies).size).toBe(100);
    expect(new Set(cookies.join("")).size).toBe(32);
    for (const cookie of cookies) {
      expect(encodeCookie(cookie).length).toBe(cookieSize);
      expect(parseCookie(encodeCookie(cookie))).toBe(cookie);
    }
  });

  test.each([
    ["nothing", "", 'found ""'],
    ["too short", "abc", 'found "abc"'],
    ["no NUL", "x".repeat(36), "found"],
    ["something else than a NUL", "x".repeat(37), "found"],
    ["a character too few", `${"x".repeat(35)}\0`, "found"],
    ["an early NUL", `${"x".repeat(10)}\0${"x".repeat(25)}\0`, String.raw`xx\u{0}xx`],
    ["too long", `${"x".repeat(36)}\0x`, "found"],
    ["a control character", `\x1b${"x".repeat(35)}\0`, String.raw`found "\u{1b}xx`],
    ["HTTP", "GET / HTTP/1.1\r\nHost: example.org:5201", 'found "GET / HTTP'],
  ])("refused: %s", (_, text, found) => {
    expect(refusal(() => parseCookie(bytesOf(text)))).toContain(found);
  });

  test("any bytes are a cookie or refused", () => {
    const likely = fc.uint8Array({ minLength: 36, maxLength: 38 });
    fc.assert(
      fc.property(fc.oneof(anyBytes, likely), (bytes) => {
        const { value } = attempt(() => parseCookie(bytes));
        if (value !== undefined) expect(encodeCookie(value)).toEqual(bytes);
      }),
    );
  });
});
