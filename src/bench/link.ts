/** What the two ends of a benchmark and who directs them say to each other: a JSON object a line. */
import { constants } from "node:os";
import type * as z from "zod";
import type { Connection } from "../endpoint/connection.ts";
import { readSome, writeFully } from "../endpoint/read.ts";
import { errnoOf, ZcError } from "../errors.ts";

const gone = new Set<number>([constants.errno.EPIPE, constants.errno.ECONNRESET]);

/** Bytes; a result of many streams is a few kilobytes. */
const lineMax = 1 << 20;

export class Link implements Disposable {
  readonly peer: string;
  readonly #connection: Connection;
  #pending = Buffer.alloc(0);

  /** Takes the connection over; `peer` is for messages. */
  constructor(connection: Connection, peer: string) {
    this.#connection = connection;
    this.peer = peer;
  }

  /** Who has gone does not hear it: `receive` tells of that. */
  async send(message: object, signal?: AbortSignal): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    try {
      await writeFully(this.#connection.fd, line, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (!gone.has(errnoOf(error))) throw error;
    }
  }

  /** The next message; undefined at the end. Throws PROTOCOL for what is not of this schema. */
  async receive<S extends z.ZodType>(
    schema: S,
    signal?: AbortSignal,
  ): Promise<z.output<S> | undefined> {
    const line = await this.#line(signal);
    if (line === undefined) return undefined;
    const { success, data, error } = schema.safeParse(parseJson(line));
    if (success) return data;
    throw this.#protocolError(`a message that it should not: ${error.issues[0]?.message}`);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #line(signal: AbortSignal | undefined): Promise<string | undefined> {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const end = this.#pending.indexOf(10);
      if (end >= 0) {
        const line = this.#pending.subarray(0, end).toString();
        this.#pending = this.#pending.subarray(end + 1);
        return line;
      }
      if (this.#pending.length > lineMax) throw this.#protocolError("a line without an end");
      const got = await readSome(this.#connection.fd, buffer, { signal });
      if (!got) return undefined;
      this.#pending = Buffer.concat([this.#pending, buffer.subarray(0, got)]);
    }
  }

  #protocolError(reason: string): ZcError {
    return new ZcError({
      code: "PROTOCOL",
      operation: "talk to",
      subject: this.peer,
      reason: `it sent ${reason}`,
      hint: "is it a zc of the same version?",
    });
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
