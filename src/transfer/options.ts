/** What both directions of a transfer can be told. */
import type { Address } from "../address/index.ts";
import type { SocketSettings } from "../endpoint/settings.ts";
import type { Move, MoveCounters } from "./move.ts";

export interface TransferOptions {
  readonly address: Address;
  /** Wait for the peer to connect, or go to it. send connects, receive listens. */
  readonly role?: "connect" | "listen" | undefined;
  /** Bytes a call, and calls in flight; chosen and adapted where not given. */
  readonly chunk?: number | undefined;
  readonly depth?: number | undefined;
  /** Stop after so many bytes. */
  readonly bytes?: number | undefined;
  /** Bytes a second. */
  readonly rate?: number | undefined;
  /** Give up when nothing has moved for so long. */
  readonly timeoutMs?: number | undefined;
  /** Give up when no connection has come about. */
  readonly connectTimeoutMs?: number | undefined;
  /** Keep trying to connect for so long. */
  readonly retryMs?: number | undefined;
  /** Take the content's XXH3-64. */
  readonly checksum?: boolean | undefined;
  readonly settings?: SocketSettings | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when the transfer listens, with the address to connect to. */
  readonly onListening?: ((address: string) => void) | undefined;
  /** Called when bytes start to move; what it is given can be looked at until the end. */
  readonly onStart?: ((live: LiveTransfer) => void) | undefined;
}

export interface LiveTransfer {
  readonly peer: string;
  /** Bytes that there will be, where that is known. */
  readonly total: number | undefined;
  readonly counters: MoveCounters;
}

export const refusalHint = "--mode auto takes what works here";

export function liveTransfer(peer: string, total: number | undefined, move: Move): LiveTransfer {
  return {
    peer,
    total,
    get counters() {
      return move.counters;
    },
  };
}
