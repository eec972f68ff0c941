/** A client that sends bytes, right or wrong, and waits for what comes back. */
import { Link, type RawMessage } from "../../../../ffi/link.ts";
import { errnoName } from "../../../../src/errors.ts";
import { encodeHeader, headerSize, readHeader } from "../../../../src/vfio-user/protocol/header.ts";
import { socketPair } from "../pair.ts";

export interface RawReply {
  readonly command: number;
  /** undefined: it is no error. */
  readonly errno: string | undefined;
  readonly payload: Uint8Array;
  readonly fds: readonly number[];
}

/** What of a header is not as it should be. */
export interface HeaderChange {
  readonly size?: number;
  readonly type?: "reply";
}

export class RawClient {
  /** The server's end. */
  readonly far: ReturnType<typeof socketPair>[1];
  /** Resolves when the server has closed, or the client has. */
  readonly ended: Promise<unknown>;
  readonly #link: Link;
  readonly #replies: RawMessage[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor() {
    const [near, far] = socketPair();
    this.far = far;
    const link = Link.start(near.fd, {
      ...{ sizeMax: 1 << 21, heldMax: 1 << 22 },
      onNews: () => this.#take(),
    });
    if (typeof link === "number") throw new Error(`no link: ${link}`);
    this.#link = link;
    this.ended = link.ended.then(() => {
      this.#isOver = true;
      near.close();
      this.#wake?.();
    });
  }

  send(
    command: number,
    payload: Uint8Array,
    fds: readonly number[] = [],
    change: HeaderChange = {},
  ) {
    const size = change.size ?? headerSize + payload.length;
    const header = { id: 77, command, size, type: change.type ?? "command", errno: 0 } as const;
    this.#link.send(encodeHeader({ ...header, noReply: false, isError: false }), payload, fds);
  }

  #take(): void {
    for (let next = this.#link.take(); next !== undefined; next = this.#link.take()) {
      this.#replies.push(next);
      this.#link.settle();
    }
    this.#wake?.();
  }

  /** The next reply; undefined: the server has closed. */
  async receive(): Promise<RawReply | undefined> {
    while (this.#replies.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const message = this.#replies.shift();
    if (message === undefined) return undefined;
    const { command, isError, errno } = readHeader(message.bytes);
    const payload = message.bytes.subarray(headerSize);
    return { command, errno: isError ? errnoName(errno) : undefined, payload, fds: message.fds };
  }

  async close(): Promise<void> {
    this.#link.end();
    await this.ended;
  }
}

/** Little-endian numbers, one behind the other. */
export function u16(...values: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

export function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function u64(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
