/** The sending end of one run: memory over one or several connections, by one mode. */
import { parseAddress } from "../address/index.ts";
import { connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { bufferOf } from "../endpoint/settings.ts";
import { sendAtOnce, socketType } from "../endpoint/socket.ts";
import { retransmitsOf } from "../endpoint/tcp-info.ts";
import { finish } from "../transfer/finish.ts";
import { familyOf } from "../transfer/meet.ts";
import type { SourceMemory } from "../transfer/memory.ts";
import { Move, type MoveResult, type Pace } from "../transfer/move.ts";
import { askedStep } from "../transfer/plan.ts";
import { startClock } from "../transfer/summary.ts";
import { Answers, leadMs } from "./answers.ts";
import type { SendRequest, Sent } from "./messages.ts";
import { sendOpening } from "./opening.ts";
import { allOrNone, idleMsMax, nameOf, sumOf } from "./streams.ts";

const connectMsMax = 5000;

/** Resolves once the receivers have all bytes. On any failure the connections are reset. */
export async function sendStreams(
  request: SendRequest,
  memories: readonly SourceMemory[],
  signal: AbortSignal,
): Promise<Sent> {
  const connections: Connection[] = [];
  try {
    while (connections.length < request.streams)
      connections.push(await connectStream(request, connections.length, request.token, signal));
    const [first] = connections;
    if (request.requests !== undefined && first !== undefined)
      return await sendRequests(first, memories[0], request, signal);
    const clock = startClock();
    const moved = await allOrNone(
      connections.map((connection, index) => (stop: AbortSignal) => {
        return sendStream(connection, { ...request, memory: memories[index], signal: stop });
      }),
      signal,
    );
    const report = reportOf(moved, connections, clock());
    for (const connection of connections) connection.close();
    return report;
  } finally {
    for (const connection of connections) connection.reset();
  }
}

/** A rate that cannot be kept is given up after so many times the time that it should take. */
const patience = 3;

/** Each window of the memory is a request; answers come on a connection of their own. */
async function sendRequests(
  connection: Connection,
  memory: SourceMemory | undefined,
  request: SendRequest,
  signal: AbortSignal,
): Promise<Sent> {
  const { size, bytes = 0, durationMs = 0, requests } = request;
  const { token = "", perSecond = 1 } = requests ?? {};
  const count = Math.max(1, Math.round(bytes / size || (perSecond * durationMs) / 1e3));
  using back = await connectStream(request, 0, token, signal);
  for (const each of [connection, back]) sendAtOnce(each);
  const clock = startClock();
  const answers = new Answers(back, perSecond);
  try {
    const limits = {
      bytes: count * size,
      durationMs: leadMs + (patience * count * 1e3) / perSecond,
    };
    const { pace } = answers;
    const moved = await sendStream(connection, { ...request, ...limits, memory, pace, signal });
    const latency = await answers.summary(count, signal);
    const report = reportOf([moved], [connection], clock());
    connection.close();
    return { ...report, latency };
  } finally {
    await answers.cancel();
  }
}

async function connectStream(
  { to, mss, sndbuf }: SendRequest,
  index: number,
  token: string,
  signal: AbortSignal,
): Promise<Connection> {
  const address = parseAddress(to[index % to.length] ?? "");
  const limits = { timeoutMs: connectMsMax, signal };
  const connection = await connect(address, { settings: { mss, sndbuf }, ...limits });
  if (connection.type === socketType.stream) await sendOpening(connection, token, limits);
  return connection;
}

interface StreamOptions
  extends Pick<SendRequest, "mode" | "size" | "bytes" | "durationMs" | "streams"> {
  readonly memory: SourceMemory | undefined;
  readonly pace?: Pace;
  readonly signal: AbortSignal;
}

async function sendStream(
  connection: Connection,
  { mode, size, bytes, durationMs, streams, memory, pace, signal }: StreamOptions,
): Promise<MoveResult> {
  const ends = { direction: "send", family: familyOf(connection), local: "file" } as const;
  const move = new Move({
    source: { fd: -1, name: "memory", isSocket: false },
    sink: { fd: connection.fd, name: nameOf(connection), isSocket: true },
    plan: [askedStep(ends, mode)],
    limit: bytes === undefined ? undefined : Math.ceil(bytes / streams),
    chunk: size,
    idleMs: idleMsMax,
    ...{ memory, pace, durationMs, signal },
  });
  const moved = await move.run();
  if (connection.type === socketType.stream) await finish(connection, { signal });
  return moved;
}

function reportOf(
  moved: readonly MoveResult[],
  connections: readonly Connection[],
  { cpu }: ReturnType<ReturnType<typeof startClock>>,
): Sent {
  const total = (name: keyof MoveResult["counters"]) =>
    sumOf(moved, ({ counters }) => counters[name]);
  const retransmits = connections.map(({ fd }) => retransmitsOf(fd));
  const [first] = connections;
  return {
    did: "send",
    bytes: total("bytes"),
    calls: total("calls"),
    ...cpu,
    seconds: secondsOf(moved),
    buffer: first === undefined ? 0 : bufferOf(first.fd, first.domain, "send"),
    sends: total("sends"),
    completions: total("completions"),
    copied: total("copied"),
    unknown: total("unknown"),
    notifications: total("notifications"),
    retries: total("retries"),
    ...(retransmits[0] !== undefined && { retransmits: sumOf(retransmits, (each) => each ?? 0) }),
  };
}

/** From the first one's begin to the last one's end. */
export function secondsOf(times: readonly { beganNs: number; endedNs: number }[]): number {
  const began = Math.min(...times.map(({ beganNs }) => beganNs));
  const ended = Math.max(...times.map(({ endedNs }) => endedNs));
  return (ended - began) / 1e9;
}
