/** The receiving end of one run: everything that comes in, counted and dropped. */
import { closeSync, openSync } from "node:fs";
import type { Connection } from "../endpoint/connection.ts";
import { bufferOf } from "../endpoint/settings.ts";
import { sendAtOnce, socketType } from "../endpoint/socket.ts";
import { eitherSignal, pause } from "../run-job.ts";
import { familyOf } from "../transfer/meet.ts";
import { Move, type MoveResult } from "../transfer/move.ts";
import { askedStep, uncopiedReceiveModes } from "../transfer/plan.ts";
import { startClock } from "../transfer/summary.ts";
import type { Door } from "./door.ts";
import type { Received, ReceiveRequest } from "./messages.ts";
import { secondsOf } from "./sender.ts";
import { allOrNone, idleMsMax, nameOf, sumOf } from "./streams.ts";

/** What is left on the way when the sender has ended has arrived when nothing came for so long. */
const quietMs = 20;

type Moved = Pick<MoveResult, "counters" | "beganNs" | "endedNs">;

/** Takes all streams until their ends; datagrams, which have none, until `stop` aborts. */
export async function receiveStreams(
  door: Door,
  request: ReceiveRequest,
  stop: AbortSignal,
  signal: AbortSignal,
): Promise<Received> {
  const connections: Connection[] = [];
  const { token, answer, streams, mode } = request;
  const either = eitherSignal(stop, signal);
  try {
    while (connections.length < streams) connections.push(await door.accept(token, either));
    using answers = answer && (await openAnswers(door, answer.token, either));
    const [first] = connections;
    const isStream = first?.type === socketType.stream;
    const receive = isStream ? receiveStream : receiveDatagrams;
    const clock = startClock();
    const moved = await allOrNone(
      connections.map((connection) => (signal: AbortSignal) => {
        return receive(connection, { ...request, answers, stop, signal });
      }),
      signal,
    );
    return {
      did: "receive",
      bytes: sumOf(moved, ({ counters }) => counters.bytes),
      calls: sumOf(moved, ({ counters }) => counters.calls),
      ...clock().cpu,
      seconds: secondsOf(moved),
      ...(uncopiedReceiveModes.has(mode) && {
        uncopied: sumOf(moved, ({ counters }) => counters.uncopied),
      }),
      buffer: first === undefined ? 0 : bufferOf(first.fd, first.domain, "receive"),
    };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Where answers go; closed, it says that there will be no more. */
async function openAnswers(door: Door, token: string, signal: AbortSignal): Promise<Connection> {
  const connection = await door.accept(token, signal);
  sendAtOnce(connection);
  return connection;
}

interface StreamOptions extends Pick<ReceiveRequest, "mode" | "answer"> {
  readonly answers: Connection | undefined;
  readonly stop: AbortSignal;
  readonly signal: AbortSignal;
}

async function receiveStream(connection: Connection, options: StreamOptions): Promise<Moved> {
  const signal = eitherSignal(options.stop, options.signal);
  using sink = openNull();
  const moved = await newMove(connection, sink.fd, { ...options, signal }).run();
  options.answers?.close();
  return moved;
}

async function receiveDatagrams(connection: Connection, options: StreamOptions): Promise<Moved> {
  const { stop, signal } = options;
  using sink = openNull();
  const cancel = new AbortController();
  const either = eitherSignal(cancel.signal, signal);
  const move = newMove(connection, sink.fd, { ...options, signal: either });
  const running = move.run();
  try {
    await Promise.race([running, aborted(stop)]);
    await quiet(move, signal);
  } finally {
    cancel.abort();
    await running.catch(() => {}); // it has no end of its own, and lets go of the socket first
  }
  return { counters: move.counters, beganNs: 0, endedNs: 0 };
}

function newMove(
  connection: Connection,
  sink: number,
  { mode, answer, answers, signal }: StreamOptions,
): Move {
  const ends = { direction: "receive", family: familyOf(connection), local: "null" } as const;
  return new Move({
    source: { fd: connection.fd, name: nameOf(connection), isSocket: true },
    sink: { fd: sink, name: "/dev/null", isSocket: false },
    plan: [askedStep(ends, mode)],
    idleMs: connection.type === socketType.stream ? idleMsMax : undefined,
    answer: answer && answers && { fd: answers.fd, request: answer.request },
    signal,
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

/** Nor does it wait for ever for those who go on sending. */
const quietRoundsMax = 50;

async function quiet(move: Move, signal: AbortSignal): Promise<void> {
  let last = -1;
  for (let round = 0; round < quietRoundsMax && last !== move.counters.bytes; round++) {
    last = move.counters.bytes;
    await pause(quietMs, signal);
  }
}

/** Where what is received goes. */
export function openNull(): Disposable & { readonly fd: number } {
  const fd = openSync("/dev/null", "w");
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
