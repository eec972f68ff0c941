/** Sends without copies, and tells all that the socket's error queue says meanwhile. */
import { NoticeReader, startWatch } from "../../ffi/notices.ts";
import { connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { socketType } from "../endpoint/socket.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { type Latency, LatencyHistogram } from "../latency.ts";
import { eitherSignal, pause, started } from "../run-job.ts";
import { finish } from "../transfer/finish.ts";
import { familyOf, meet } from "../transfer/meet.ts";
import { Move } from "../transfer/move.ts";
import { liveTransfer, type TransferOptions } from "../transfer/options.ts";
import { plan } from "../transfer/plan.ts";
import { openSource, type Source } from "../transfer/source.ts";
import { type Notice, toNotice } from "./notice.ts";
import { reportErrors, reportTimestamps } from "./options.ts";

export interface WatchedSendOptions extends TransferOptions {
  /** A path; undefined or "-": standard input. */
  readonly file?: string | undefined;
  /** Tell when each send was scheduled, sent, and, over TCP, acknowledged. */
  readonly timestamps?: boolean | undefined;
}

/** The last JSON line of `zc errq`; its schema is notice.schema.ts. */
export interface WatchSummary {
  readonly bytes: number;
  readonly seconds: number;
  readonly peer: string;
  readonly sends: number;
  readonly completions: number;
  readonly notifications: number;
  readonly joined: number;
  readonly unordered: number;
  /** Of the completions; `unknown` were in joined ranges, which tell of their first send alone. */
  readonly copied: number;
  readonly unknown: number;
  /** Refused for lack of option or locked memory, and tried again. */
  readonly retries: number;
  /** From a send to its completion; undefined where there was none. */
  readonly latencyNs?: Latency | undefined;
  /** Full seconds since 1970, from which the notices' times count. */
  readonly since: number;
}

/** Within an Ethernet frame's 1500 bytes, with IPv6's and UDP's headers. */
const datagramSize = 1400;
/** ICMP errors need so long, hardly ever longer. */
const lateMs = 200;

/**
 * Sends as `send` does with mode msg-zerocopy; over UDP in datagrams of `chunk` bytes. Yields each
 * message of the error queue as it comes, and returns the summary. Who does not take them holds up
 * the transfer. Throws what `send` throws, after the messages that came before.
 */
export async function* sendWatched(
  options: WatchedSendOptions,
): AsyncGenerator<Notice, WatchSummary, void> {
  using source = await openSource(options.file, options.signal);
  using connection = await meetAny(options);
  const summary = yield* sendOver(connection, source, options);
  connection.close();
  return summary;
}

/** Datagrams too: nothing is lost here that the queue does not tell of. */
function meetAny(options: WatchedSendOptions): Promise<Connection> {
  if (options.address.transport !== "udp") return meet(options, options.role ?? "connect");
  return connect(options.address, { settings: options.settings, signal: options.signal });
}

async function* sendOver(
  connection: Connection,
  source: Source,
  options: WatchedSendOptions,
): AsyncGenerator<Notice, WatchSummary, void> {
  reportErrors(connection);
  if (options.timestamps) reportTimestamps(connection);
  const since = Math.floor(Date.now() / 1000);
  const begin = performance.now();
  const latency = new LatencyHistogram();
  const reader = new NoticeReader();
  const stop = new AbortController();
  const signal = eitherSignal(stop.signal, options.signal);
  const move = makeMove(connection, source, { ...options, signal }, reader);
  options.onStart?.(liveTransfer(connection.peer, source.length ?? options.bytes, move));
  const running = move.run().finally(() => reader.end());
  try {
    yield* told(reader, since, latency);
  } finally {
    stop.abort(); // who looks no further stops it
    await running.catch(() => {});
  }
  const { counters } = await running;
  yield* told(await endOf(connection, options), since, latency);
  const { bytes, sends, completions, notifications, joined, unordered, copied, unknown, retries } =
    counters;
  return {
    ...{ bytes, seconds: (performance.now() - begin) / 1e3, peer: connection.peer },
    ...{ sends, completions, notifications, joined, unordered, copied, unknown, retries },
    ...{ latencyNs: latency.summary(), since },
  };
}

function makeMove(
  connection: Connection,
  source: Source,
  options: WatchedSendOptions,
  reader: NoticeReader,
): Move {
  const isDatagram = connection.type === socketType.datagram;
  const family = familyOf(connection);
  const local = source.descriptor.kind;
  return new Move({
    source: { fd: source.descriptor.fd, name: source.name, isSocket: false },
    sink: { fd: connection.fd, name: connection.peer, isSocket: true },
    plan: plan({ direction: "send", family, local, vsockSendMax: vsockSendMax() }, "msg-zerocopy"),
    limit: options.bytes,
    rate: options.rate,
    chunk: options.chunk ?? (isDatagram ? datagramSize : undefined),
    depth: options.depth,
    idleMs: options.timeoutMs,
    signal: options.signal,
    onNews: reader.onNews,
  });
}

async function* told(
  reader: NoticeReader,
  since: number,
  latency: LatencyHistogram,
): AsyncGenerator<Notice, void> {
  for await (const raw of reader) {
    if (raw.latency_ns >= 0) latency.add(raw.latency_ns);
    yield toNotice(raw, since);
  }
}

/** What comes after the last send: acknowledgements, errors from far away. */
async function endOf(connection: Connection, options: WatchedSendOptions): Promise<NoticeReader> {
  const reader = new NoticeReader();
  const isStream = connection.type === socketType.stream;
  if (isStream) await finish(connection, options);
  const watch = started(startWatch(connection.fd, !isStream, reader), "watch the error queue");
  if (!isStream) {
    await pause(lateMs, options.signal);
    watch.cancel();
  }
  await watch.ended;
  return reader;
}
