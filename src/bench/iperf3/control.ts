/** The control connection of a test: states and messages, each read exactly. */
import { writeSync } from "node:fs";
import { constants } from "node:os";
import type { Connection } from "../../endpoint/connection.ts";
import { readSome, writeFully } from "../../endpoint/read.ts";
import { sendAtOnce } from "../../endpoint/socket.ts";
import { errnoOf, ZcError } from "../../errors.ts";
import { finish } from "../../transfer/finish.ts";
import { type FrameKind, frameHeaderSize, frameLength } from "./frame.ts";
import { encodeState, parseState, type Side, type State } from "./states.ts";
import { type Limit, within } from "./within.ts";

/** For a peer to make room for what it is told, and to close. */
const sendMsMax = 30_000;
const closeMsMax = 1000;
/** Of a write to who has closed. */
const closings = new Set<number>([constants.errno.EPIPE, constants.errno.ECONNRESET]);

/** `S`: the side that the peer is. */
export class Control<S extends Side> {
  readonly connection: Connection;
  readonly #by: S;

  /** Takes the connection over. */
  constructor(connection: Connection, by: S) {
    this.connection = connection;
    this.#by = by;
    sendAtOnce(connection);
  }

  get peer(): string {
    return this.connection.peer;
  }

  say(state: State, signal?: AbortSignal): Promise<void> {
    return this.send(encodeState(state), signal);
  }

  /** Throws PEER_RESET, TIMEOUT. */
  async send(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await within({ ms: sendMsMax, signal }, `room at ${this.peer}`, async (limited) => {
      await writeFully(this.connection.fd, bytes, { signal: limited }).catch((error) => {
        throw this.#failure(error, limited);
      });
    });
  }

  /** The peer's next state. Throws PEER_RESET, TIMEOUT, PROTOCOL. */
  async hear(limit: Limit): Promise<State<S>> {
    const [byte = 0] = await this.#read(1, `a state of ${this.peer}`, limit);
    return parseState(byte, this.#by);
  }

  /** The body of the peer's next message, which is of this kind. Throws likewise. */
  async receive(kind: FrameKind, limit: Limit): Promise<Uint8Array> {
    const what = `the ${kind.name} of ${this.peer}`;
    return within(limit, what, async (signal) => {
      const header = await this.#read(frameHeaderSize, what, { signal });
      return this.#read(frameLength(kind, header), what, { signal });
    });
  }

  /** All that comes until the peer closes, or `max` bytes of it. */
  rest(max: number, limit: Limit): Promise<Uint8Array> {
    const buffer = new Uint8Array(max);
    return within(limit, `the end of ${this.peer}`, async (signal) => {
      for (let length = 0; length < max; ) {
        const got = await this.#some(buffer.subarray(length), signal);
        if (got === 0) return buffer.subarray(0, length);
        length += got;
      }
      return buffer;
    });
  }

  /** The last word, to a peer that may not hear it any more. */
  tryToSend(bytes: Uint8Array): void {
    try {
      writeSync(this.connection.fd, bytes);
    } catch {
      // It has gone.
    }
  }

  /** Gives the peer a moment to close first, so that nothing it sends makes the end a reset. */
  async close(): Promise<void> {
    try {
      await within({ ms: closeMsMax }, `the end of ${this.peer}`, (signal) =>
        finish(this.connection, { signal }),
      );
    } catch (error) {
      if (!(error instanceof ZcError)) throw error; // it takes too long, or has gone already
    } finally {
      this.connection.close();
    }
  }

  async #read(size: number, what: string, limit: Limit): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    await within(limit, what, async (signal) => {
      for (let at = 0; at < size; ) {
        const got = await this.#some(bytes.subarray(at), signal);
        if (got === 0) throw this.#gone();
        at += got;
      }
    });
    return bytes;
  }

  /** 0 at the end. */
  async #some(buffer: Uint8Array, signal: AbortSignal): Promise<number> {
    try {
      return (await readSome(this.connection.fd, buffer, { signal })) ?? 0;
    } catch (error) {
      throw this.#failure(error, signal);
    }
  }

  #failure(error: unknown, signal: AbortSignal): unknown {
    signal.throwIfAborted();
    if (error instanceof ZcError) return error;
    const errno = errnoOf(error);
    return this.#gone(closings.has(errno) ? undefined : errno);
  }

  #gone(errno?: number): ZcError {
    const reason = "it closed the control connection";
    const subject = this.peer;
    return new ZcError({ code: "PEER_RESET", operation: "test with", subject, reason, errno });
  }
}
