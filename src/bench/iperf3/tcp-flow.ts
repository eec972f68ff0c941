/** TCP streams of a test: memory that is sent, or bytes that are received and dropped. */
import { library } from "../../../ffi/library.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { pause } from "../../run-job.ts";
import { familyOf } from "../../transfer/meet.ts";
import type { SourceMemory } from "../../transfer/memory.ts";
import { Move, type MoveOptions } from "../../transfer/move.ts";
import { askedStep, type ReceiveMode, type SendMode } from "../../transfer/plan.ts";
import { nameOf } from "../streams.ts";
import type { Flow, StartFlow } from "./flow.ts";

export interface SendOptions {
  readonly mode: SendMode;
  /** Bytes a call. */
  readonly size: number;
  readonly memory: SourceMemory | undefined;
  /** How much, or how long; neither: until it is stopped. */
  readonly bytes?: number | undefined;
  readonly durationMs?: number | undefined;
  /** Bytes a second. */
  readonly rate?: number | undefined;
}

/** Bytes that have an end are acknowledged when it ends. */
export function sender(connection: Connection, options: SendOptions): StartFlow {
  const { mode, size, memory, bytes, durationMs, rate } = options;
  const ends = { direction: "send", family: familyOf(connection), local: "file" } as const;
  const move = {
    source: { fd: -1, name: "memory", isSocket: false },
    sink: { fd: connection.fd, name: nameOf(connection), isSocket: true },
    plan: [askedStep(ends, mode)],
    limit: bytes,
    chunk: size,
    ...{ memory, durationMs, rate },
  };
  return (signal) => start(connection, { ...move, signal });
}

export interface ReceiveOptions {
  readonly mode: ReceiveMode;
  /** Bytes a call; undefined: as the mode has it. */
  readonly size?: number | undefined;
  /** /dev/null, open. */
  readonly sink: number;
}

export function receiver(connection: Connection, { mode, size, sink }: ReceiveOptions): StartFlow {
  const ends = { direction: "receive", family: familyOf(connection), local: "null" } as const;
  const move = {
    source: { fd: connection.fd, name: nameOf(connection), isSocket: true },
    sink: { fd: sink, name: "/dev/null", isSocket: false },
    plan: [askedStep(ends, mode)],
    chunk: size,
  };
  return (signal) => start(connection, { ...move, signal });
}

function start(connection: Connection, options: MoveOptions): Flow {
  const move = new Move(options);
  const sends = options.sink.isSocket;
  return {
    connection,
    sends,
    ended: sends && options.limit !== undefined ? sendAll(move, connection, options) : move.run(),
    get counters() {
      return move.counters;
    },
  };
}

const lookMs = 1;

/** No half-close: iperf3 3.12 does not sleep any more after it, and others acknowledge it late. */
async function sendAll(move: Move, { fd }: Connection, { signal }: MoveOptions): Promise<void> {
  await move.run();
  while (library().zc_socket_unsent(fd) > 0) await pause(lookMs, signal);
}
