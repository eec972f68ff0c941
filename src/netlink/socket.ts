/** A netlink socket: questions to the kernel, which answers at once. */
import { readSync, writeSync } from "node:fs";
import { library } from "../../ffi/library.ts";
import { closeSocket } from "../endpoint/socket.ts";
import { errnoOf, ZcError } from "../errors.ts";
import { encodeMessage, type Message } from "./message.ts";
import { collectReplies } from "./replies.ts";

/** NETLINK_ROUTE and NETLINK_GENERIC */
export const netlinkProtocol = { route: 0, generic: 16 } as const;
const familyNetlink = 16;
const typeRaw = 3;
const flag = { request: 1, acknowledge: 4, dump: 0x300 } as const;
/** The kernel's own buffers for an answer have 32 KiB. */
const readSize = 1 << 17;

export interface Question {
  readonly type: number;
  readonly payload: Uint8Array;
  /** All there are, instead of one. */
  readonly dump?: boolean;
}

export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(readSize);
  #sequence = 0;

  /** Throws UNSUPPORTED where there is none. */
  constructor(protocol: number) {
    this.#fd = library().zc_socket_open(familyNetlink, typeRaw, protocol);
    if (this.#fd < 0) throw failure("open", -this.#fd);
  }

  /** Throws UNSUPPORTED, with the kernel's errno, or PROTOCOL. */
  ask({ type, payload, dump }: Question): Message[] {
    const sequence = ++this.#sequence;
    const flags = flag.request | (dump ? flag.dump : flag.acknowledge);
    try {
      writeSync(this.#fd, encodeMessage({ type, flags, sequence, port: 0, payload }));
      return collectReplies(sequence, () => this.#read());
    } catch (error) {
      if (error instanceof ZcError) throw error;
      throw failure("ask", errnoOf(error));
    }
  }

  /** A copy, for the buffer is used again. */
  #read(): Uint8Array {
    return this.#buffer.slice(0, readSync(this.#fd, this.#buffer));
  }

  [Symbol.dispose](): void {
    closeSocket(this.#fd);
  }
}

function failure(operation: string, errno: number): ZcError {
  return new ZcError({ code: "UNSUPPORTED", operation, subject: "netlink", errno });
}
