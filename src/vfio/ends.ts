/** Where the state of a device goes to, or comes from: a peer, a file, or a pipe. */
import { type Address, isAddress, parseAddress } from "../address/index.ts";
import { finish } from "../transfer/finish.ts";
import { meet } from "../transfer/meet.ts";
import type { MoveEnd } from "../transfer/move.ts";
import type { TransferOptions } from "../transfer/options.ts";
import { type OutputOptions, openOutput } from "../transfer/output.ts";
import { openSource } from "../transfer/source.ts";
import type { SaveSink } from "./save.ts";

/** How the peer is met, where the other end is one. */
export type MeetPeer = (address: Address) => TransferOptions;

/** Disposing leaves nothing behind of what was not finished: no file, and a peer sees a reset. */
export type OpenSink = SaveSink & Disposable;

/**
 * ADDR, a path, or standard output for undefined and "-". Finishing means that the peer has
 * acknowledged every byte, or that the file has its name. Throws CONNECT, WRITE_SINK, USAGE, and the
 * signal's reason.
 */
export async function openSink(
  place: string | undefined,
  meetPeer: MeetPeer,
  options: OutputOptions,
  signal?: AbortSignal,
): Promise<OpenSink> {
  if (place !== undefined && isAddress(place)) return peerSink(meetPeer(parseAddress(place)));
  const output = await openOutput(place, options, signal);
  return {
    end: { fd: output.descriptor.fd, name: output.name, isSocket: false },
    finish: async () => output.commit(),
    [Symbol.dispose]: () => output[Symbol.dispose](),
  };
}

async function peerSink(options: TransferOptions): Promise<OpenSink> {
  const connection = await meet(options, options.role ?? "connect");
  return {
    end: { fd: connection.fd, name: connection.peer, isSocket: true },
    finish: async (signal) => {
      await finish(connection, { timeoutMs: options.timeoutMs, signal });
      connection.close();
    },
    [Symbol.dispose]: () => connection.reset(),
  };
}

/** Disposing before it was finished is a failure: a peer sees a reset. */
export interface OpenStateSource extends Disposable {
  readonly end: MoveEnd;
  /** The device has it all. */
  finish(): void;
}

/**
 * ADDR, a path, or standard input for undefined and "-". Throws CONNECT, READ_SOURCE, USAGE,
 * and the signal's reason.
 */
export async function openStateSource(
  place: string | undefined,
  meetPeer: MeetPeer,
  signal?: AbortSignal,
): Promise<OpenStateSource> {
  if (place !== undefined && isAddress(place)) return peerSource(meetPeer(parseAddress(place)));
  const source = await openSource(place, signal);
  return {
    end: { fd: source.descriptor.fd, name: source.name, isSocket: false },
    finish: () => {},
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
}

async function peerSource(options: TransferOptions): Promise<OpenStateSource> {
  const connection = await meet(options, options.role ?? "listen");
  return {
    end: { fd: connection.fd, name: connection.peer, isSocket: true },
    finish: () => connection.close(),
    [Symbol.dispose]: () => connection.reset(),
  };
}
