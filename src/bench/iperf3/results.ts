/** What each side counted: the client's message first, then the server's. */
import * as z from "zod";
import { printable } from "../../errors.ts";
import { atMost, countOrUnknown, text, whole } from "./fields.ts";
import { encodeFrame, type FrameKind, parseBody } from "./frame.ts";
import { misfit } from "./malformed.ts";
import { limits } from "./parameters.schema.ts";

/** With the output of a server that reports ten times a second for an hour. */
export const resultsFrame: FrameKind = { name: "results", max: 16 << 20 };

export interface TestResults {
  /** Per cent of one processor. */
  readonly cpu: { readonly total: number; readonly user: number; readonly system: number };
  /** As a sender: whether it counts retransmits. A receiver: undefined. */
  readonly hasRetransmits: boolean | undefined;
  /** TCP_CONGESTION */
  readonly congestion?: string | undefined;
  /** What the server printed, text or JSON. */
  readonly serverOutput?: string | undefined;
  readonly streams: readonly StreamResults[];
}

/** Errors, packets and jitter: of UDP, and only a receiver's mean anything. */
export interface StreamResults {
  /** 1, 3, 4, 5… in the order in which the streams came about. */
  readonly id: number;
  /** Without what was omitted. */
  readonly bytes: number;
  readonly retransmits: number | undefined;
  /** Seconds. */
  readonly jitter: number;
  /** Datagrams lost, and the highest number: with the omitted ones. */
  readonly errors: number | undefined;
  readonly packets: number | undefined;
  /** Of them; undefined before 3.14. */
  readonly omittedErrors: number | undefined;
  readonly omittedPackets: number | undefined;
  /** What `bytes` took; undefined before 3.2. */
  readonly seconds: number | undefined;
}

/** Ids begin with 1, 3; both directions have as many streams. */
const streamsMax = 2 * limits.streams;
const secondsMax = 1e9;
/** null: NaN, of a test that took no time. */
const percent = atMost(1e9)
  .nullable()
  .transform((value) => value ?? 0);

const stream = z
  .object(
    {
      id: whole(1, streamsMax + 1),
      bytes: whole(0, Number.MAX_SAFE_INTEGER),
      retransmits: countOrUnknown,
      jitter: atMost(secondsMax),
      errors: countOrUnknown,
      omitted_errors: countOrUnknown.optional(),
      packets: countOrUnknown,
      omitted_packets: countOrUnknown.optional(),
      start_time: atMost(secondsMax).optional(),
      end_time: atMost(secondsMax).optional(),
    },
    "an object",
  )
  .refine(
    ({ start_time: start = 0, end_time: end = start }) => start <= end,
    "a start, then an end",
  );
type WireStream = z.output<typeof stream>;

const streamsError = `a list of up to ${streamsMax} streams`;

const schema = z.object(
  {
    cpu_util_total: percent,
    cpu_util_user: percent,
    cpu_util_system: percent,
    sender_has_retransmits: countOrUnknown,
    congestion_used: text(64).optional(),
    server_output_text: z.string("text").optional(),
    server_output_json: z.unknown().optional(),
    streams: z.array(stream, streamsError).max(streamsMax, streamsError),
  },
  "an object",
);

/** A frame. */
export function encodeResults(results: TestResults): Uint8Array {
  const { cpu, congestion, serverOutput, streams } = results;
  return encodeFrame(resultsFrame, {
    cpu_util_total: cpu.total,
    cpu_util_user: cpu.user,
    cpu_util_system: cpu.system,
    sender_has_retransmits: Number(results.hasRetransmits ?? -1),
    congestion_used: congestion,
    server_output_text: serverOutput,
    streams: streams.map(encodeStream),
  });
}

/** Of a frame's body. Throws PROTOCOL. */
export function parseResults(body: Uint8Array): TestResults {
  const value = parseBody(resultsFrame, body);
  const { success, data, error } = schema.safeParse(value);
  if (!success) throw misfit(resultsFrame.name, error, value);
  const { sender_has_retransmits: hasRetransmits } = data;
  return {
    cpu: { total: data.cpu_util_total, user: data.cpu_util_user, system: data.cpu_util_system },
    hasRetransmits: hasRetransmits === undefined ? undefined : hasRetransmits > 0,
    congestion: data.congestion_used,
    serverOutput: outputOf(data.server_output_text, data.server_output_json),
    streams: data.streams.map(parseStream),
  };
}

function encodeStream(stream: StreamResults): object {
  const { omittedErrors, omittedPackets, seconds } = stream;
  // iperf3 refuses one of them without the other.
  const hasOmitted = omittedErrors !== undefined || omittedPackets !== undefined;
  return {
    id: stream.id,
    bytes: stream.bytes,
    retransmits: stream.retransmits ?? -1,
    jitter: stream.jitter,
    errors: stream.errors ?? -1,
    omitted_errors: hasOmitted ? (omittedErrors ?? -1) : undefined,
    packets: stream.packets ?? -1,
    omitted_packets: hasOmitted ? (omittedPackets ?? -1) : undefined,
    start_time: seconds === undefined ? undefined : 0,
    end_time: seconds,
  };
}

function parseStream({ start_time: start, end_time: end, ...wire }: WireStream): StreamResults {
  const { id, bytes, retransmits, jitter, errors, packets } = wire;
  return {
    ...{ id, bytes, retransmits, jitter, errors, packets },
    omittedErrors: wire.omitted_errors,
    omittedPackets: wire.omitted_packets,
    seconds: start === undefined || end === undefined ? undefined : end - start,
  };
}

/** Line by line safe to show. */
function outputOf(output: string | undefined, json: unknown): string | undefined {
  const all = json === undefined ? output : JSON.stringify(json, undefined, 2);
  return all?.split("\n").map(printable).join("\n");
}
