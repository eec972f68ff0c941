/** What the client asks for: its one message before the streams. */
import { encodeFrame, parseBody } from "./frame.ts";
import { malformed, misfit } from "./malformed.ts";
import {
  defaults,
  limits,
  parametersFrame,
  parametersSchema,
  type WireParameters,
} from "./parameters.schema.ts";

export interface TestParameters {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** From the client, to it, or both at once. */
  readonly direction: "forward" | "reverse" | "bidirectional";
  /** In each direction. */
  readonly streams: number;
  /** Not counted, before the rest. */
  readonly omitSeconds: number;
  /** What ends the test, if not 0; the client watches over it. */
  readonly seconds: number;
  /** Of all streams together. */
  readonly bytes: number;
  readonly blocks: number;
  /** Bytes a write, and of a datagram: all have this size. */
  readonly blockSize: number;
  /** Bits a second of a stream, 0 for no limit: by the sender itself, and by SO_MAX_PACING_RATE. */
  readonly rate: number;
  readonly pacingRate: number;
  /** Blocks to send before the rate is looked at again; 0 for not said. */
  readonly burst: number;
  /** Bytes of SO_SNDBUF and SO_RCVBUF; 0 leaves them to the kernel, as with the next two. */
  readonly socketBuffer: number;
  readonly mss: number;
  readonly tos: number;
  /** TCP_CONGESTION */
  readonly congestion?: string | undefined;
  readonly noDelay: boolean;
  /** The sender uses sendfile. */
  readonly zerocopy: boolean;
  /** The receiver uses MSG_TRUNC. */
  readonly skipReceiveCopy: boolean;
  readonly dontFragment: boolean;
  /** Datagrams have 64-bit numbers. */
  readonly wideCounters: boolean;
  /** The results shall have what the server printed. */
  readonly getServerOutput: boolean;
  /** Processor that the server shall run on. */
  readonly serverProcessor?: number | undefined;
  /** For people to read. */
  readonly title?: string | undefined;
  readonly clientVersion?: string | undefined;
}

/** A frame. */
export function encodeParameters(parameters: TestParameters): Uint8Array {
  const { protocol, direction, congestion, title } = parameters;
  const wire: Record<string, unknown> = {
    [protocol]: true,
    omit: parameters.omitSeconds,
    server_affinity: parameters.serverProcessor,
    time: parameters.seconds,
    num: parameters.bytes,
    blockcount: parameters.blocks,
    MSS: unlessZero(parameters.mss),
    nodelay: trueIf(parameters.noDelay),
    parallel: parameters.streams,
    reverse: trueIf(direction === "reverse"),
    bidirectional: trueIf(direction === "bidirectional"),
    window: unlessZero(parameters.socketBuffer),
    len: parameters.blockSize,
    bandwidth: unlessZero(parameters.rate),
    fqrate: unlessZero(parameters.pacingRate),
    burst: unlessZero(parameters.burst),
    TOS: unlessZero(parameters.tos),
    title,
    congestion,
    get_server_output: oneIf(parameters.getServerOutput),
    udp_counters_64bit: oneIf(parameters.wideCounters),
    zerocopy: oneIf(parameters.zerocopy),
    dont_fragment: oneIf(parameters.dontFragment),
    skip_rx_copy: oneIf(parameters.skipReceiveCopy),
    client_version: parameters.clientVersion,
  };
  return encodeFrame(parametersFrame, wire);
}

/** Of a frame's body. Throws PROTOCOL. */
export function parseParameters(body: Uint8Array): TestParameters {
  const value = parseBody(parametersFrame, body);
  const { success, data, error } = parametersSchema.safeParse(value);
  if (!success) throw misfit(parametersFrame.name, error, value);
  const protocol = protocolOf(data);
  return {
    protocol,
    direction: directionOf(data),
    streams: data.parallel,
    omitSeconds: data.omit,
    seconds: data.time,
    bytes: data.num,
    blocks: data.blockcount,
    blockSize: blockSizeOf(data, protocol),
    rate: data.bandwidth,
    pacingRate: data.fqrate,
    burst: data.burst,
    socketBuffer: data.window,
    mss: data.MSS,
    tos: data.TOS,
    congestion: data.congestion,
    noDelay: data.nodelay,
    zerocopy: data.zerocopy,
    skipReceiveCopy: data.skip_rx_copy,
    dontFragment: data.dont_fragment,
    wideCounters: data.udp_counters_64bit,
    getServerOutput: data.get_server_output,
    serverProcessor: data.server_affinity,
    title: data.title,
    clientVersion: data.client_version,
  };
}

/** None is TCP, and of more than one the last. */
function protocolOf({ udp, sctp }: WireParameters): TestParameters["protocol"] {
  if (sctp) return "sctp";
  return udp ? "udp" : "tcp";
}

function directionOf({ reverse, bidirectional }: WireParameters): TestParameters["direction"] {
  if (reverse && bidirectional) {
    throw malformed("parameters", "reverse or bidirectional", "both");
  }
  if (bidirectional) return "bidirectional";
  return reverse ? "reverse" : "forward";
}

function blockSizeOf({ len }: WireParameters, protocol: TestParameters["protocol"]): number {
  if (protocol !== "udp") return len ?? defaults.tcpBlockSize;
  const size = len ?? defaults.udpBlockSize;
  const { datagramMin: min, datagramMax: max } = limits;
  if (size >= min && size <= max) return size;
  throw malformed("parameters len", `a datagram's size from ${min} to ${max}`, `${size}`);
}

function unlessZero(value: number): number | undefined {
  return value === 0 ? undefined : value;
}

function trueIf(condition: boolean): true | undefined {
  return condition || undefined;
}

function oneIf(condition: boolean): 1 | undefined {
  return condition ? 1 : undefined;
}
