/** What the two ends of a benchmark and who directs them say to each other: a JSON object a line. */
import type * as z from "zod";
import type { Connection } from "../endpoint/connection.ts";
import { readSome, writeFully } from "../endpoint/read.ts";
import { ZcError } from "../errors.ts";
import { parseJson } from "../json.ts";

/** Bytes; a result of many streams is a few kilobytes. */
const lineMax = 1 << 20;
/** For a peer to make room for a message. */
const sendMsMax = 10_000;

export interface ReceiveLimits {
  readonly signal?: AbortSignal | undefined;
  /** undefined: for ever. */
  readonly idleMs?: number | undefined;
  /** That nothing is said is no wonder now. */
  readonly isBusy?: () => boolean;
}

export class Link implements Disposable {
  readonly peer: string;
  readonly #connection: Connection;
  #pending = Buffer.alloc(0);
  #isClosed = false;

  /** Takes the connection over; `peer` is for messages. */
  constructor(connection: Connection, peer: string) {
    this.#connection = connection;
    this.peer = peer;
  }

  /** Who has gone does not hear it: `receive` tells of that. */
  async send(message: object, signal?: AbortSignal): Promise<void> {
    if (this.#isClosed) return;
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    try {
      await writeFully(this.#connection.fd, line, { signal, timeoutMs: sendMsMax });
    } catch {
      signal?.throwIfAborted();
    }
  }

  /**
   * The next message; undefined at the end. Throws PROTOCOL for what is not of this schema, TIMEOUT
   * when nothing came for `idleMs` while it was not busy.
   */
  async receive<S extends z.ZodType>(
    schema: S,
    limits: ReceiveLimits = {},
  ): Promise<z.output<S> | undefined> {
    const line = await this.#line(limits);
    if (line === undefined) return undefined;
    const { success, data } = schema.safeParse(parseJson(line));
    if (success) return data;
    throw this.#error("PROTOCOL", "it sent what is no message of a benchmark", sameVersion);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#connection.close();
  }

  async #line(limits: ReceiveLimits): Promise<string | undefined> {
    for (;;) {
      const end = this.#pending.indexOf(10);
      if (end >= 0) {
        const line = this.#pending.subarray(0, end).toString();
        this.#pending = this.#pending.subarray(end + 1);
        return line;
      }
      if (this.#pending.length > lineMax)
        throw this.#error("PROTOCOL", "it sent a line without an end", sameVersion);
      const got = await this.#some(limits);
      if (got.length === 0) return undefined;
      this.#pending = Buffer.concat([this.#pending, got]);
    }
  }

  /** Empty at the end, which a broken connection is too. */
  async #some({ signal, idleMs, isBusy }: ReceiveLimits): Promise<Uint8Array> {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const got = await readSome(this.#connection.fd, buffer, { signal, timeoutMs: idleMs }).catch(
        (error) => {
          signal?.throwIfAborted();
          if (error instanceof ZcError) throw error;
          return 0;
        },
      );
      if (got !== undefined) return buffer.subarray(0, got);
      if (!isBusy?.()) throw this.#error("TIMEOUT", `it said nothing for ${idleMs} ms`);
    }
  }

  #error(code: "PROTOCOL" | "TIMEOUT", reason: string, hint?: string): ZcError {
    return new ZcError({ code, operation: "talk to", subject: this.peer, reason, hint });
  }
}

const sameVersion = "is it a zc of the same version?";
