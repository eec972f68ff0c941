import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import { formatIp } from "../../../src/address/ip.ts";
import {
  decodeSockaddr,
  encodeInet,
  encodeUnix,
  encodeVsock,
  formatSocketName,
  type SocketName,
} from "../../../src/address/sockaddr.ts";
import { refusal } from "../refusal.ts";

const u32Max = 0xffff_ffff;

describe("layout", () => {
  test.each([
    [
      "sockaddr_in",
      encodeInet({ address: "127.0.0.1", port: 5000 }),
      "0200 1388 7f000001 0000000000000000",
    ],
    [
      "sockaddr_in6",
      encodeInet({ address: "fe80::1", port: 5000, scopeId: 2 }),
      "0a00 1388 00000000 fe800000000000000000000000000001 02000000",
    ],
    ["sockaddr_un, path", encodeUnix({ path: "/x", abstract: false }), "0100 2f78 00"],
    ["sockaddr_un, abstract", encodeUnix({ path: "x", abstract: true }), "0100 00 78"],
    ["sockaddr_vm", encodeVsock({ cid: 2, port: 5000 }), "2800 0000 88130000 02000000 00 000000"],
    [
      "sockaddr_vm, a free port",
      encodeVsock({ cid: u32Max, port: 0 }),
      "2800 0000 ffffffff ffffffff 00 000000",
    ],
  ])("%s", (_, bytes, hex) => {
    expect(bytes.toHex()).toBe(hex.replaceAll(" ", ""));
  });
});

describe("refused", () => {
  const path = "x".repeat(108);
  const refusals: [string, () => Uint8Array, string][] = [
    ["a name", () => encodeInet({ address: "host", port: 1 }), '"host": not an IP address; for'],
    ["a zone", () => encodeInet({ address: "fe80::1%eth0", port: 1 }), "not an IP address"],
    ["a large port", () => encodeInet({ address: "::1", port: 65536 }), "port 65536: not a number"],
    ["half a port", () => encodeInet({ address: "::1", port: 1.5 }), "port 1.5: not a number"],
    ["a scope", () => encodeInet({ address: "::1", port: 1, scopeId: -1 }), "scope -1: not a"],
    ["no path", () => encodeUnix({ path: "", abstract: false }), "unix:: the path is empty; for"],
    ["a long path", () => encodeUnix({ path, abstract: true }), "the path has 108 bytes"],
    ["a CID", () => encodeVsock({ cid: -1, port: 1 }), "CID -1: not a number from 0 to"],
    ["a vsock port", () => encodeVsock({ cid: 1, port: 2 ** 32 }), "port 4294967296: not a number"],
  ];
  test.each(refusals)("%s", (_, encode, message) => {
    expect(refusal(encode)).toContain(message);
  });
});

test("decode gives back what was encoded", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      expect(decodeSockaddr(encode(name))).toEqual(name);
    }),
  );
});

test("any bytes have a name that can be shown", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      expect(formatSocketName(decodeSockaddr(bytes), "tcp")).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: 2000 },
  );
});

test("bytes that are part of a larger buffer", () => {
  const larger = Uint8Array.of(1, 2, 3, ...encodeInet({ address: "10.0.0.1", port: 80 }), 4);
  const name = decodeSockaddr(larger.subarray(3, 19));
  expect(name).toEqual({ family: "inet", address: "10.0.0.1", port: 80 });
});

test.each<[string, string]>([
  ["0100", "unix:"],
  ["0100 00", "unix:@"],
  ["0100 2f78 00", "unix:/x"],
  ["0100 2f78", "unix:/x"],
  ["0100 2f78 00 79", "unix:/x"],
  ["0100 efbbbf78 00", "unix:\ufeffx"],
  ["0100 1b 00", "unix:\\u{1b}"],
  ["0100 00 61 00 62", "unix:@a\\u{0}b"],
  ["0200 0050 7f000001 0000000000000000", "tcp:127.0.0.1:80"],
  ["0a00 0050 00000000 00000000000000000000000000000001 00000000", "tcp:[::1]:80"],
  ["0a00 0050 00000000 fe800000000000000000000000000001 02000000", "tcp:[fe80::1%2]:80"],
  ["2800 0000 88130000 01000000 00000000", "vsock:1:5000"],
  ["2800 0000 ffffffff ffffffff 00000000", "vsock:any:0"],
  ["0200 0050 7f0000", "unknown:2"],
  ["1100", "unknown:17"],
  ["01", "unknown:0"],
  ["", "unknown:0"],
])("%s is %s", (hex, text) => {
  const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
  expect(formatSocketName(decodeSockaddr(bytes), "tcp")).toBe(text);
});

test("a name is an address that can be given back", () => {
  const printableName = anyName.filter(
    (name) => name.family !== "unix" || /^[a-z/][\w/.:]*$/.test(name.path),
  );
  fc.assert(
    fc.property(printableName, (name) => {
      const address = parseAddress(formatSocketName(name, "tcp"));
      const transport = name.family.startsWith("inet") ? "tcp" : name.family;
      expect(address.transport).toBe(transport);
    }),
  );
});

function encode(name: SocketName): Uint8Array {
  switch (name.family) {
    case "inet":
    case "inet6":
      return encodeInet(name);
    case "unix":
      return encodeUnix(name);
    case "vsock":
      return encodeVsock(name);
    case "unknown":
      return new Uint8Array();
  }
}

const port = fc.nat(0xffff);
const scopeId = fc.nat(u32Max);
const ip = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => formatIp(bytes));
const path = fc
  .string({ unit: "binary", minLength: 1, maxLength: 26 })
  .filter((text) => !text.includes("\0"));

const anyName: fc.Arbitrary<SocketName> = fc.oneof(
  fc.record({ family: fc.constant("inet"), address: ip(4), port }),
  fc.record({ family: fc.constant("inet6"), address: ip(16), port, scopeId }),
  fc.record({ family: fc.constant("unix"), path, abstract: fc.boolean() }),
  fc.record({
    family: fc.constant("vsock"),
    cid: fc.nat(u32Max),
    port: fc.nat(u32Max - 1),
  }),
);

const anyBytes = fc
  .tuple(fc.constantFrom([], [1, 0], [2, 0], [10, 0], [40, 0]), fc.uint8Array({ maxLength: 126 }))
  .map(([head, tail]) => Uint8Array.of(...head, ...tail));
