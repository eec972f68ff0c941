/** What all commands of a client have in common: the connection, and what the server can take. */
import { type Connection, closeAll, type Reply, type RequestOptions } from "../connection.ts";
import type { CommandName } from "../protocol/commands.ts";
import { Malformed } from "../protocol/malformed.ts";

/** What the server said of itself, or the specification's defaults. */
export interface Limits {
  /** Bytes of data in a message, either way: the smaller of its limit and ours. */
  readonly maxDataXferSize: number;
  /** Descriptors in a message to it. */
  readonly maxMsgFds: number;
  /** DMA maps at a time. */
  readonly maxDmaMaps: number;
  /** Page sizes of DMA maps, or'ed together; bytes. */
  readonly pageSizes: number;
  /** REGION_WRITE_MULTI is taken. */
  readonly writeMultiple: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export class Calls {
  readonly connection: Connection;
  readonly limits: Limits;

  constructor(connection: Connection, limits: Limits) {
    this.connection = connection;
    this.limits = limits;
  }

  /** The reply's payload. Throws what `Connection.request` does. */
  async call(
    name: CommandName,
    payload: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const reply = await this.connection.request(name, payload, options);
    closeAll(reply.fds);
    return reply.payload;
  }

  /** The reply with its descriptors, which are the caller's. */
  callForFds(name: CommandName, payload: Uint8Array, options: RequestOptions = {}): Promise<Reply> {
    return this.connection.request(name, payload, options);
  }
}

/** A reply repeats what was asked for. Throws Malformed where it is about something else. */
export function assertSame(what: string, asked: bigint | number, said: bigint | number): void {
  if (asked === said) return;
  throw new Malformed({ offset: 0, expected: `a reply about ${what} ${asked}`, found: `${said}` });
}
