import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameHeaderSize } from "../../../../src/bench/iperf3/frame.ts";
import {
  encodeParameters,
  parseParameters,
  type TestParameters,
} from "../../../../src/bench/iperf3/parameters.ts";
import { attempt, bytesOf, refusal } from "./refusal.ts";

const plain: TestParameters = {
  ...{ protocol: "tcp", direction: "forward", streams: 1, omitSeconds: 0, seconds: 10 },
  ...{ bytes: 0, blocks: 0, blockSize: 131072, rate: 0, pacingRate: 0, burst: 0 },
  ...{ socketBuffer: 0, mss: 0, tos: 0, congestion: undefined, noDelay: false, zerocopy: false },
  ...{ skipReceiveCopy: false, dontFragment: false, wideCounters: false, getServerOutput: false },
  ...{ serverProcessor: undefined, title: undefined, clientVersion: undefined },
};
const debian = { ...plain, clientVersion: "3.12" };

describe("what an iperf3 asks for", () => {
  test.each<[string, string, TestParameters]>([
    [
      "-t 1, 3.12",
      '{"tcp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":1,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
      { ...debian, seconds: 1 },
    ],
    [
      "-n 3M",
      '{"tcp":true,"omit":0,"time":0,"num":3145728,"blockcount":0,"parallel":1,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
      { ...debian, seconds: 0, bytes: 3 << 20 },
    ],
    [
      "-R -P 3 -k 5 -l 64K",
      '{"tcp":true,"omit":0,"time":0,"num":0,"blockcount":5,"parallel":3,"reverse":true,"len":65536,"pacing_timer":1000,"client_version":"3.12"}',
      { ...debian, direction: "reverse", seconds: 0, blocks: 5, streams: 3, blockSize: 65536 },
    ],
    [
      "-t 1 -O 1 -M 1200 -w 256K -N -C cubic -Z -S 32 -T titel --extra-data xtra --pacing-timer 500 --fq-rate 1G -b 100M/4 -l 32K -A 0,1 --repeating-payload",
      '{"tcp":true,"omit":1,"server_affinity":1,"time":1,"num":0,"blockcount":0,"MSS":1200,"nodelay":true,"parallel":1,"window":262144,"len":32768,"bandwidth":100000000,"fqrate":1000000000,"pacing_timer":500,"burst":4,"TOS":32,"title":"titel","extra_data":"xtra","congestion":"cubic","repeating_payload":1,"zerocopy":1,"client_version":"3.12"}',
      {
        ...{ ...debian, omitSeconds: 1, seconds: 1, serverProcessor: 1, mss: 1200, noDelay: true },
        ...{ socketBuffer: 262144, blockSize: 32768, rate: 1e8, pacingRate: 1e9, burst: 4 },
        ...{ tos: 32, title: "titel", congestion: "cubic", zerocopy: true },
      },
    ],
    [
      "-u -R -t 1 --udp-counters-64bit --dont-fragment --get-server-output",
      '{"udp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":1,"reverse":true,"len":32768,"bandwidth":1048576,"pacing_timer":1000,"get_server_output":1,"udp_counters_64bit":1,"dont_fragment":1,"client_version":"3.12"}',
      {
        ...{ ...debian, protocol: "udp", direction: "reverse", seconds: 1, blockSize: 32768 },
        ...{ rate: 1048576, getServerOutput: true, wideCounters: true, dontFragment: true },
      },
    ],
    [
      "-u -n 100000 -l 1000 --gsro -b 0, 3.21",
      '{"udp":true,"omit":0,"time":0,"num":100000,"blockcount":0,"parallel":1,"len":1000,"pacing_timer":1000,"gso":1,"gso_dg_size":1000,"gso_bf_size":65000,"gro":1,"gro_bf_size":65507,"client_version":"3.21"}',
      {
        ...{ ...plain, protocol: "udp", seconds: 0, bytes: 100000, blockSize: 1000 },
        clientVersion: "3.21",
      },
    ],
    [
      "--bidir, and --skip-rx-copy of 3.21",
      '{"tcp":true,"omit":1,"time":1,"num":0,"blockcount":0,"parallel":1,"bidirectional":true,"len":131072,"pacing_timer":1000,"skip_rx_copy":1,"client_version":"3.21"}',
      {
        ...{ ...plain, direction: "bidirectional", omitSeconds: 1, seconds: 1 },
        ...{ skipReceiveCopy: true, clientVersion: "3.21" },
      },
    ],
    ["nothing: its server's defaults", "{}", plain],
    ["of UDP nothing else", '{"udp":true}', { ...plain, protocol: "udp", blockSize: 1460 }],
    ["SCTP", '{"sctp":true}', { ...plain, protocol: "sctp" }],
    ["a false flag", '{"reverse":false,"zerocopy":0}', plain],
  ])("%s", (_, json, parameters) => {
    expect(parseParameters(bytesOf(json))).toEqual(parameters);
  });
});

test("what a server gets: iperf3's keys in iperf3's order, without those that say nothing", () => {
  const parameters: TestParameters = { ...plain, direction: "reverse", zerocopy: true, mss: 1200 };
  expect(Buffer.from(encodeParameters(parameters).subarray(frameHeaderSize)).toString()).toBe(
    '{"tcp":true,"omit":0,"time":10,"num":0,"blockcount":0,"MSS":1200,"parallel":1,"reverse":true,"len":131072,"zerocopy":1}',
  );
});

test.each([
  ["[1]", "iperf3 parameters: expected an object, found a list of 1"],
  ["null", "expected an object, found null"],
  ['"x"', 'expected an object, found "x"'],
  ['{"parallel":0}', "parameters parallel: expected a whole number from 1 to 128, found 0"],
  ['{"parallel":129}', "from 1 to 128, found 129"],
  ['{"parallel":1.5}', "from 1 to 128, found 1.5"],
  ['{"time":"10"}', 'parameters time: expected a whole number from 0 to 86400, found "10"'],
  ['{"time":-1}', "found -1"],
  ['{"omit":86401}', "found 86401"],
  ['{"num":1e16}', "parameters num: expected a whole number from 0 to 9007199254740991"],
  ['{"blockcount":1e999}', "found Infinity"],
  ['{"MSS":32768}', "from 0 to 32767, found 32768"],
  ['{"window":536870913}', "from 0 to 536870912"],
  ['{"len":0}', "from 1 to 1048576, found 0"],
  ['{"len":1048577}', "from 1 to 1048576"],
  ['{"udp":true,"len":15}', "a datagram's size from 16 to 65507, found 15"],
  ['{"udp":true,"len":65508}', "a datagram's size from 16 to 65507, found 65508"],
  ['{"bandwidth":-1}', "parameters bandwidth"],
  ['{"fqrate":null}', "found null"],
  ['{"burst":1001}', "from 0 to 1000"],
  ['{"TOS":256}', "from 0 to 255"],
  ['{"server_affinity":-1}', "from 0 to 1024"],
  ['{"tcp":"yes"}', 'parameters tcp: expected true or 1, found "yes"'],
  ['{"title":{}}', "parameters title: expected text of up to 8192 characters, found an object"],
  ['{"congestion":"a/../b"}', `expected an algorithm's name, found "a/../b"`],
  ['{"congestion":"1234567890123456"}', "expected an algorithm's name"],
  ['{"reverse":true,"bidirectional":true}', "expected reverse or bidirectional, found both"],
  [`{"title":"${"x".repeat(8192)}"}`, "parameters length: expected 1 to 8192, found 8204"],
])("refused: %s", (json, line) => {
  expect(refusal(() => parseParameters(bytesOf(json)))).toContain(line);
});

test("a title cannot move the cursor", () => {
  const json = JSON.stringify({ title: "a\u001b[2Jb\nc\u202e", client_version: "\u009b" });
  const { title, clientVersion } = parseParameters(bytesOf(json));
  expect(title).toBe(String.raw`a\u{1b}[2Jb\u{a}c\u{202e}`);
  expect(clientVersion).toBe(String.raw`\u{9b}`);
});

const line = fc.string({ unit: "grapheme-ascii", maxLength: 100 });
const upTo = (max: number) => fc.oneof(fc.constantFrom(0, max), fc.nat(max));
const large = fc.oneof(fc.constant(0), fc.maxSafeNat());
const anyParameters: fc.Arbitrary<TestParameters> = fc
  .record({
    protocol: fc.constantFrom("tcp", "udp", "sctp"),
    direction: fc.constantFrom("forward", "reverse", "bidirectional"),
    streams: fc.integer({ min: 1, max: 128 }),
    ...{ omitSeconds: upTo(86400), seconds: upTo(86400), bytes: large, blocks: large },
    blockSize: fc.integer({ min: 16, max: 65507 }),
    ...{ rate: large, pacingRate: large, burst: upTo(1000), socketBuffer: upTo(512 << 20) },
    ...{ mss: upTo(32767), tos: upTo(255) },
    congestion: fc.option(fc.constantFrom("cubic", "bbr", "dctcp-reno"), { nil: undefined }),
    ...{ noDelay: fc.boolean(), zerocopy: fc.boolean(), skipReceiveCopy: fc.boolean() },
    ...{ dontFragment: fc.boolean(), wideCounters: fc.boolean(), getServerOutput: fc.boolean() },
    serverProcessor: fc.option(fc.nat(1024), { nil: undefined }),
    title: fc.option(line, { nil: undefined }),
    clientVersion: fc.option(line, { nil: undefined }),
  })
  .map((parameters) => parameters as TestParameters);

test("parse gives back what was encoded", () => {
  fc.assert(
    fc.property(anyParameters, (parameters) => {
      const body = encodeParameters(parameters).subarray(frameHeaderSize);
      expect(parseParameters(body)).toEqual(parameters);
    }),
  );
});

test("any bytes, any JSON and any value in a key's place are parameters or refused", () => {
  const keys = ["tcp", "udp", "omit", "time", "num", "MSS", "parallel", "len", "congestion", "TOS"];
  const key = fc.constantFrom(...keys, "title", "reverse", "zerocopy", "__proto__", "toString");
  const likely = fc.dictionary(key, fc.jsonValue()).map((value) => bytesOf(JSON.stringify(value)));
  const json = fc.json().map(bytesOf);
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), json, likely), (body) => {
      const { value } = attempt(() => parseParameters(body));
      if (value === undefined) return;
      const again = parseParameters(encodeParameters(value).subarray(frameHeaderSize));
      expect(again).toEqual(value);
    }),
    { numRuns: 1000 },
  );
});
