import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameHeaderSize } from "../../../../src/bench/iperf3/frame.ts";
import {
  encodeResults,
  parseResults,
  resultsFrame,
  type StreamResults,
  type TestResults,
} from "../../../../src/bench/iperf3/results.ts";
import { attempt, bytesOf, refusal } from "./refusal.ts";

const stream: StreamResults = {
  ...{ id: 1, bytes: 0, retransmits: undefined, jitter: 0, errors: 0, packets: 0 },
  ...{ omittedErrors: undefined, omittedPackets: undefined, seconds: 0 },
};

const wireStream = '"id":1,"bytes":0,"retransmits":0,"jitter":0,"errors":0,"packets":0';
const withStreams = (streams: string) =>
  `{"cpu_util_total":0,"cpu_util_user":0,"cpu_util_system":0,"sender_has_retransmits":0,"streams":${streams}}`;
const withKey = (key: string) => withStreams(`[{${wireStream},${key}}]`);

describe("what an iperf3 has counted", () => {
  test.each<[string, string, TestResults]>([
    [
      "the client that sends, 3.12",
      '{"cpu_util_total":37.196127202497067,"cpu_util_user":0,"cpu_util_system":37.196127202497067,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":2059141120,"retransmits":40,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.000085}]}',
      {
        cpu: { total: 37.196127202497067, user: 0, system: 37.196127202497067 },
        ...{ hasRetransmits: true, congestion: "bbr" },
        streams: [{ ...stream, bytes: 2059141120, retransmits: 40, seconds: 1.000085 }],
      },
    ],
    [
      "the server that receives, 3.12: -1 is 2^64 - 1",
      '{"cpu_util_total":34.22382801409222,"cpu_util_user":0.3823975174653193,"cpu_util_system":33.841330523419721,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":2050290156,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.000216}]}',
      {
        cpu: { total: 34.22382801409222, user: 0.3823975174653193, system: 33.841330523419721 },
        ...{ hasRetransmits: undefined, congestion: "bbr" },
        streams: [{ ...stream, bytes: 2050290156, seconds: 1.000216 }],
      },
    ],
    [
      "both directions over UDP, the server, 3.12",
      '{"cpu_util_total":13.043478260869565,"cpu_util_user":13.043478260869565,"cpu_util_system":0,"sender_has_retransmits":0,"streams":[{"id":1,"bytes":128,"retransmits":18446744073709551615,"jitter":1.25e-06,"errors":0,"packets":2,"start_time":0,"end_time":0.00134},{"id":3,"bytes":192,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":3,"start_time":0,"end_time":0.001341}]}',
      {
        cpu: { total: 13.043478260869565, user: 13.043478260869565, system: 0 },
        hasRetransmits: false,
        streams: [
          { ...stream, bytes: 128, jitter: 1.25e-6, packets: 2, seconds: 0.00134 },
          { ...stream, id: 3, bytes: 192, packets: 3, seconds: 0.001341 },
        ],
      },
    ],
    [
      "a server that tells what it printed, 3.12",
      '{"cpu_util_total":51.728034739548313,"cpu_util_user":0.993786089192951,"cpu_util_system":50.734148732188331,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","server_output_text":"Accepted connection from 127.0.0.1, port 54314\\n[  5] local 127.0.0.1 port 15201 connected to 127.0.0.1 port 54322\\n","streams":[{"id":1,"bytes":2199778355,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.000793}]}',
      {
        cpu: { total: 51.728034739548313, user: 0.993786089192951, system: 50.734148732188331 },
        ...{ hasRetransmits: undefined, congestion: "bbr" },
        serverOutput:
          "Accepted connection from 127.0.0.1, port 54314\n[  5] local 127.0.0.1 port 15201 connected to 127.0.0.1 port 54322\n",
        streams: [{ ...stream, bytes: 2199778355, seconds: 1.000793 }],
      },
    ],
    [
      "3.21, with a second omitted",
      '{"cpu_util_total":2.7525264005043559,"cpu_util_user":2.7525264005043559,"cpu_util_system":0,"sender_has_retransmits":-1,"streams":[{"id":1,"bytes":1248000,"retransmits":-1,"jitter":1.3789959295940191e-05,"errors":0,"omitted_errors":0,"packets":2499,"omitted_packets":1251,"start_time":0,"end_time":0.99909}]}',
      {
        cpu: { total: 2.7525264005043559, user: 2.7525264005043559, system: 0 },
        hasRetransmits: undefined,
        streams: [
          {
            ...{ ...stream, bytes: 1248000, jitter: 1.3789959295940191e-5, packets: 2499 },
            ...{ omittedErrors: 0, omittedPackets: 1251, seconds: 0.99909 },
          },
        ],
      },
    ],
    [
      "a start other than 0",
      withKey('"start_time":1.5,"end_time":2'),
      {
        ...{ cpu: { total: 0, user: 0, system: 0 }, hasRetransmits: false },
        streams: [{ ...stream, retransmits: 0, seconds: 0.5 }],
      },
    ],
    [
      "a start without an end",
      withKey('"start_time":1.5'),
      {
        ...{ cpu: { total: 0, user: 0, system: 0 }, hasRetransmits: false },
        streams: [{ ...stream, retransmits: 0, seconds: undefined }],
      },
    ],
    [
      "3.1 has no times, and a test without time no share of the processor",
      '{"cpu_util_total":null,"cpu_util_user":null,"cpu_util_system":null,"sender_has_retransmits":1,"streams":[{"id":1,"bytes":1,"retransmits":0,"jitter":0,"errors":0,"packets":0}]}',
      {
        ...{ cpu: { total: 0, user: 0, system: 0 }, hasRetransmits: true },
        streams: [{ ...stream, bytes: 1, retransmits: 0, seconds: undefined }],
      },
    ],
  ])("%s", (_, json, results) => {
    expect(parseResults(bytesOf(json))).toEqual(results);
  });
});

test("what a peer gets: iperf3's keys in iperf3's order, -1 for what is not known", () => {
  const results: TestResults = {
    ...{ cpu: { total: 3, user: 1, system: 2 }, hasRetransmits: undefined, congestion: "cubic" },
    streams: [stream, { ...stream, id: 3, omittedPackets: 7, seconds: undefined }],
  };
  expect(Buffer.from(encodeResults(results).subarray(frameHeaderSize)).toString()).toBe(
    '{"cpu_util_total":3,"cpu_util_user":1,"cpu_util_system":2,"sender_has_retransmits":-1,"congestion_used":"cubic","streams":[' +
      '{"id":1,"bytes":0,"retransmits":-1,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":0},' +
      '{"id":3,"bytes":0,"retransmits":-1,"jitter":0,"errors":0,"omitted_errors":-1,"packets":0,"omitted_packets":7}]}',
  );
});

test.each([
  ["{}", "results cpu_util_total: expected a number from 0 to 1000000000, found nothing"],
  ['"x"', 'iperf3 results: expected an object, found "x"'],
  [withStreams("null"), "results streams: expected a list of up to 256 streams, found null"],
  [withStreams("[1]"), "results streams 0: expected an object, found 1"],
  [withStreams("[{}]"), "results streams 0 id: expected a whole number from 1 to 257"],
  [withKey('"id":0'), "results streams 0 id: expected a whole number from 1 to 257, found 0"],
  [withKey('"id":258'), "found 258"],
  [withKey('"bytes":-1'), "results streams 0 bytes: expected a whole number from 0 to"],
  [withKey('"bytes":18446744073709551615'), "results streams 0 bytes"],
  [withKey('"retransmits":0.5'), "streams 0 retransmits: expected a whole number, found 0.5"],
  [withKey('"retransmits":9007199254740993'), "retransmits: expected a whole number"],
  [withKey('"retransmits":1e20'), "retransmits: expected a whole number"],
  [withKey('"packets":"1"'), 'streams 0 packets: expected a whole number, found "1"'],
  [withKey('"jitter":-1'), "streams 0 jitter: expected a number from 0 to 1000000000, found -1"],
  [withKey('"jitter":1e999'), "streams 0 jitter"],
  [withKey('"errors":null'), "streams 0 errors: expected a whole number, found null"],
  [
    withStreams(`[],"congestion_used":"${"x".repeat(65)}"`),
    "results congestion_used: expected text of up to 64 characters",
  ],
  [withKey('"start_time":2,"end_time":1'), "results streams 0: expected a start, then an end"],
])("refused: %s", (json, line) => {
  expect(refusal(() => parseResults(bytesOf(json)))).toContain(line);
});

test("millions of streams are refused", () => {
  const json = withStreams(`[${"{},".repeat(3_000_000)}{}]`);
  expect(json.length).toBeLessThan(resultsFrame.max);
  expect(refusal(() => parseResults(bytesOf(json)))).toContain(
    "results streams: expected a list of up to 256 streams, found a list of 3000001",
  );
});

test("a server's output cannot move the cursor, as text or as JSON", () => {
  const text = withStreams('[],"server_output_text":"a\\u001b[2J\\n\\u202eb"');
  expect(parseResults(bytesOf(text)).serverOutput).toBe("a\\u{1b}[2J\n\\u{202e}b");
  const json = withStreams('[],"server_output_json":{"title":"\\u009b\\u001b"}');
  expect(parseResults(bytesOf(json)).serverOutput).toBe('{\n  "title": "\\u{9b}\\u001b"\n}');
});

const known = fc.maxSafeNat();
const mayBeUnknown = fc.option(known, { nil: undefined });
const real = fc.double({ min: 0, max: 1e9, noNaN: true }).map(Math.abs);
const line = fc.string({ unit: "grapheme-ascii", maxLength: 60 });
const anyStream: fc.Arbitrary<StreamResults> = fc.record({
  ...{ id: fc.integer({ min: 1, max: 257 }), bytes: known, retransmits: mayBeUnknown },
  ...{ jitter: real, errors: mayBeUnknown, packets: mayBeUnknown, omittedErrors: mayBeUnknown },
  ...{ omittedPackets: mayBeUnknown, seconds: fc.option(real, { nil: undefined }) },
});
const anyResults: fc.Arbitrary<TestResults> = fc.record({
  cpu: fc.record({ total: real, user: real, system: real }),
  hasRetransmits: fc.option(fc.boolean(), { nil: undefined }),
  congestion: fc.option(line, { nil: undefined }),
  serverOutput: fc.option(
    fc.array(line).map((lines) => lines.join("\n")),
    { nil: undefined },
  ),
  streams: fc.array(anyStream, { maxLength: 256 }),
});

test("parse gives back what was encoded", () => {
  fc.assert(
    fc.property(anyResults, (results) => {
      const body = encodeResults(results).subarray(frameHeaderSize);
      expect(parseResults(body)).toEqual(results);
    }),
  );
});

test("any bytes, any JSON and any value in a key's place are results or refused", () => {
  const key = fc.constantFrom("id", "bytes", "retransmits", "jitter", "packets", "end_time");
  const changed = fc
    .tuple(key, fc.oneof(fc.jsonValue(), fc.double()))
    .map(([name, value]) => bytesOf(withKey(`"${name}":${JSON.stringify(value)}`)));
  const json = fc.json().map(bytesOf);
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), json, changed), (body) => {
      const { value } = attempt(() => parseResults(body));
      if (value === undefined) return;
      const again = parseResults(encodeResults(value).subarray(frameHeaderSize));
      expect(again).toEqual(value);
    }),
    { numRuns: 1000 },
  );
});
