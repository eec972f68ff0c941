import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Address,
  formatAddress,
  isAddress,
  parseAddress,
} from "../../../src/address/index.ts";
import { vsockUdsListenPath } from "../../../src/address/vsock-uds.ts";
import { attempt, refusal } from "../refusal.ts";

const portMax = 0xffff;
const u32Max = 0xffff_ffff;

describe("tcp", () => {
  test.each([
    ["tcp:host.example:5000", "host.example", 5000],
    ["tcp://host.example:5000", "host.example", 5000],
    ["host.example:5000", "host.example", 5000],
    ["host.example.:5000", "host.example.", 5000],
    ["build_1:0", "build_1", 0],
    ["fd00:65535", "fd00", 65535],
    ["10.0.0.1:5000", "10.0.0.1", 5000],
    [":5000", "", 5000],
    ["tcp::5000", "", 5000],
    ["tcp://:5000", "", 5000],
    ["*:5000", "*", 5000],
    ["[::1]:5000", "::1", 5000],
    ["tcp:[::]:5000", "::", 5000],
    ["tcp://[2001:db8::1]:5000", "2001:db8::1", 5000],
    ["[fe80::1%eth0]:80", "fe80::1%eth0", 80],
    ["[fe80::1%2]:80", "fe80::1%2", 80],
    [`${"a".repeat(63)}:1`, "a".repeat(63), 1],
  ])("%s", (text, host, port) => {
    expect(parseAddress(text)).toEqual({ transport: "tcp", host, port });
  });

  test.each([
    ["5000", "HOST:PORT is expected; for example tcp:localhost:5000"],
    ["tcp:5000", "HOST:PORT is expected"],
    ["[::1]", "HOST:PORT is expected"],
    ["", '"": HOST:PORT is expected'],
    ["host:", 'the port "" is not a number from 0 to 65535'],
    ["host:65536", 'the port "65536" is not'],
    ["host:-1", 'the port "-1" is not'],
    ["host:0x10", 'the port "0x10" is not'],
    ["host:http", 'the port "http" is not'],
    ["a b:5000", 'the host "a b" is neither a name nor an address'],
    ["-a:5000", 'the host "-a" is neither'],
    ["a-:5000", 'the host "a-" is neither'],
    ["a..b:5000", 'the host "a..b" is neither'],
    [".:5000", 'the host "." is neither'],
    [`${"a".repeat(64)}:1`, "is neither"],
    [`${"a.".repeat(127)}a:1`, "is neither"],
    ["256.0.0.1:5000", 'the host "256.0.0.1" is neither'],
    ["1.2.3:5000", 'the host "1.2.3" is neither'],
    ["5000:5000", 'the host "5000" is neither'],
    ["::1:5000", "an IPv6 address needs brackets; for example tcp:[::1]:5000"],
    ["tcp:2001:db8::1", "an IPv6 address needs brackets; for example tcp:[2001:db8::1]:5000"],
    ["fe80::1%eth0:80", "needs brackets; for example tcp:[fe80::1%eth0]:5000"],
    ["a:b:5000", 'the host "a:b" has a colon'],
    ["[1.2.3.4]:5000", '"1.2.3.4" is not an IPv6 address; for example tcp:[::1]:5000'],
    ["[fe80::1%]:80", '"fe80::1%" is not an IPv6 address'],
    ["[fe80::1%a b]:80", '"fe80::1%a b" is not an IPv6 address'],
    ["a\u001b:5000", 'the host "a\\u{1b}" is neither'],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseAddress(text))).toContain(message);
  });
});

describe("unix", () => {
  test.each([
    ["unix:/run/x.sock", "/run/x.sock", false],
    ["unix:///run/x.sock", "/run/x.sock", false],
    ["unix:x:1", "x:1", false],
    ["unix:./@x", "./@x", false],
    ["unix:@name", "name", true],
    ["unix://@name", "name", true],
    [`unix:${"x".repeat(107)}`, "x".repeat(107), false],
    [`unix:@${"x".repeat(107)}`, "x".repeat(107), true],
  ])("%s", (text, path, abstract) => {
    expect(parseAddress(text)).toEqual({ transport: "unix", path, abstract });
  });

  test.each([
    ["unix:", "the path is empty; for example unix:/run/zc.sock"],
    ["unix://", "the path is empty"],
    ["unix:@", "the path is empty"],
    ["unix:a\0b", "unix:a\\u{0}b: the path contains a NUL"],
    [`unix:${"x".repeat(108)}`, "the path has 108 bytes, more than 107"],
    [`unix:@${"é".repeat(54)}`, "the path has 108 bytes, more than 107"],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseAddress(text))).toContain(message);
  });

  test("a path that begins with @ is not shown as an abstract name", () => {
    expect(formatAddress({ transport: "unix", path: "@x", abstract: false })).toBe("unix:./@x");
  });
});

describe("vsock", () => {
  test.each([
    ["vsock:3:5000", 3, 5000],
    ["vsock://3:5000", 3, 5000],
    ["vsock:hypervisor:1", 0, 1],
    ["vsock:local:1", 1, 1],
    ["vsock:host:1", 2, 1],
    ["vsock:any:1", u32Max, 1],
    ["vsock::1", u32Max, 1],
    ["vsock:4294967295:4294967294", u32Max, u32Max - 1],
    ["vsock:3:0", 3, 0],
    ["vsock:3:any", 3, 0],
    ["vsock:3:4294967295", 3, 0],
  ])("%s", (text, cid, port) => {
    expect(parseAddress(text)).toEqual({ transport: "vsock", cid, port });
  });

  test.each([
    ["vsock:5000", "CID:PORT is expected; for example vsock:host:5000"],
    ["vsock:guest:1", 'the CID "guest" is not a number from 0 to 4294967295'],
    ["vsock:4294967296:1", 'the CID "4294967296" is not'],
    ["vsock:3:4294967296", 'the port "4294967296" is not'],
    ["vsock:3:", 'the port "" is not'],
    ["vsock:1:2:3", 'the CID "1:2" is not'],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseAddress(text))).toContain(message);
  });
});

describe("vsock-uds", () => {
  test.each([
    ["vsock-uds:/run/vm.vsock:5000", "/run/vm.vsock", 5000],
    ["vsock-uds:///run/vm.vsock:5000", "/run/vm.vsock", 5000],
    ["vsock-uds:a:b:0", "a:b", 0],
  ])("%s", (text, path, port) => {
    expect(parseAddress(text)).toEqual({ transport: "vsock-uds", path, port });
  });

  test.each([
    ["vsock-uds:/run/vm", "PATH:PORT is expected; for example vsock-uds:/run/vm.vsock:5000"],
    ["vsock-uds::5000", "the path is empty"],
    ["vsock-uds:/run/vm:x", 'the port "x" is not a number from 0 to 4294967295'],
    [`vsock-uds:${"x".repeat(108)}:1`, "the path has 108 bytes"],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseAddress(text))).toContain(message);
  });

  test("the VMM connects to PATH_PORT", () => {
    expect(vsockUdsListenPath({ path: "/run/vm.vsock", port: 52 })).toBe("/run/vm.vsock_52");
  });
});

describe("fd", () => {
  test.each([
    ["fd:0", 0],
    ["fd://3", 3],
    ["fd:1048575", 1_048_575],
  ])("%s", (text, fd) => {
    expect(parseAddress(text)).toEqual({ transport: "fd", fd });
  });

  test.each(["fd:", "fd:-1", "fd:1048576", "fd:3 ", "fd:stdin"])("refuses %j", (text) => {
    const message = refusal(() => parseAddress(text));
    expect(message).toMatch(/the descriptor ".*" is not a number from 0 to 1048575; .* fd:3$/);
  });
});

describe("udp", () => {
  test.each([
    ["udp:host:5000", "host", 5000],
    ["udp://[::1]:5000", "::1", 5000],
    ["udp::5000", "", 5000],
  ])("%s", (text, host, port) => {
    expect(parseAddress(text)).toEqual({ transport: "udp", host, port });
  });

  test.each([
    ["udp:5000", "HOST:PORT is expected; for example udp:localhost:5000"],
    ["udp:::1:5000", "an IPv6 address needs brackets; for example udp:[::1]:5000"],
  ])("refuses %j", (text, message) => {
    expect(refusal(() => parseAddress(text))).toContain(message);
  });
});

test.each(["http://host", "TCP:host:5000", "constructor:a:1"])(
  "there is no such transport: %s",
  (text) => {
    const scheme = text.split(":")[0];
    expect(refusal(() => parseAddress(text))).toContain(
      `there is no transport "${scheme}", only tcp, unix, vsock, vsock-uds, udp, fd; for example tcp:`,
    );
  },
);

test("parse gives back what was formatted", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
  );
});

test("the URL form means the same", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const url = formatAddress(address).replace(/:(\/\/)?/, "://");
      expect(parseAddress(url)).toEqual(address);
    }),
  );
});

test("arbitrary text is an address or a usage error", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const { value } = attempt(() => parseAddress(text));
      if (value !== undefined) expect(parseAddress(formatAddress(value))).toEqual(value);
    }),
    { numRuns: 2000 },
  );
});

test("what an error shows is right", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const { error } = attempt(() => parseAddress(text));
      const example = error?.hint?.replace("for example ", "");
      if (example !== undefined) expect(() => parseAddress(example)).not.toThrow();
    }),
    { numRuns: 2000 },
  );
});

const host = fc.oneof(
  fc.constantFrom("", "*", "localhost", "fe80::1%eth0"),
  fc.domain(),
  fc.ipV4(),
  fc.ipV6(),
);

function path(isRight: (text: string) => boolean): fc.Arbitrary<string> {
  const text = fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 26 }),
    fc.webPath({ size: "small" }),
    fc.constantFrom("//x", "://", "/"),
  );
  return text.filter((it) => it !== "" && it.length < 100 && !it.includes("\0") && isRight(it));
}

const anyAddress: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ transport: fc.constant("tcp"), host, port: fc.nat(portMax) }),
  fc.record({
    transport: fc.constant("unix"),
    path: path((text) => !text.startsWith("@")),
    abstract: fc.constant(false),
  }),
  fc.record({
    transport: fc.constant("unix"),
    path: path(() => true),
    abstract: fc.constant(true),
  }),
  fc.record({
    transport: fc.constant("vsock"),
    cid: fc.nat(u32Max),
    port: fc.nat(u32Max - 1),
  }),
  fc.record({
    transport: fc.constant("vsock-uds"),
    path: path(() => true),
    port: fc.nat(u32Max),
  }),
  fc.record({
    transport: fc.constant("udp"),
    host: fc.constantFrom("", "*", "a.b", "::1", "1.2.3.4"),
    port: fc.nat(65535),
  }),
  fc.record({ transport: fc.constant("fd"), fd: fc.nat(1_048_575) }),
);

const piece = fc.oneof(
  fc.constantFrom("tcp", "unix", "vsock", "vsock-uds", "fd", "udp", "host", "any", "fe80", "1.2"),
  fc.constantFrom(":", "::", "//", "[", "]", "%", "@", "*", ".", "-", "_", " ", "0", "65536"),
  fc.constantFrom("\0", "\n", "\u001b[31m", "\u0085", "\u202e", "\ud800"),
);
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
);

describe("isAddress", () => {
  test.each([
    ...["host:5000", ":5000", "[::1]:5000", "tcp:host", "unix:/run/a", "unix:@a", "fd:3"],
    ...["vsock:3:5000", "vsock-uds:/run/a:5000", "udp:", "tcp://host:1"],
  ])("%s", (text) => {
    expect(isAddress(text)).toBe(true);
  });

  test.each(["", "-", "a.state", "./a:5000", "/run/a:5000", "http://host/", "a:b", "tcp"])(
    "not %s",
    (text) => {
      expect(isAddress(text)).toBe(false);
    },
  );
});
