/** Stands between a client and a server, and passes on what either says, with its descriptors. */
import { library } from "../../ffi/library.ts";
import { Link, type RawMessage } from "../../ffi/link.ts";
import { type Connection as Socket, takeConnection } from "../endpoint/connection.ts";
import { ZcError } from "../errors.ts";
import { closeAll } from "./connection.ts";
import { commands, type Side } from "./protocol/commands.ts";
import { headerSize, messageSizeMax, readHeader } from "./protocol/header.ts";
import { decodeVersion } from "./protocol/version.ts";

/** The twin socket carries the server's requests. */
export type TracedSocket = "main" | "twin";

export interface TracedMessage {
  readonly socket: TracedSocket;
  readonly from: Side;
  /** Header and payload; of a message whose size is none, the header. */
  readonly bytes: Uint8Array;
  /** How many descriptors came with it. */
  readonly fds: number;
}

export interface TraceOptions {
  /** Both are taken over. */
  readonly client: Socket;
  readonly server: Socket;
  /** Before it is passed on. What it throws ends the trace. */
  readonly onMessage: (message: TracedMessage) => void;
  /**
   * Asked before each: undefined, or when there is room for it; both sides are held up until then. What
   * it throws ends the trace; it shall throw when the signal aborts.
   */
  readonly room?: (() => Promise<void> | undefined) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TraceEnd {
  /** Who closed the connection, or broke it. */
  readonly end: Side;
  readonly error: ZcError | undefined;
}

/** Bytes of data in a message that are passed on: more than any peer is known to take. */
const dataMax = 64 << 20;
const heldMax = 2 * dataMax;

/**
 * Resolves when both sides have ended: the end of one is passed on to the other, once it has all.
 * Throws the signal's reason, and what `onMessage` throws.
 */
export async function trace(options: TraceOptions): Promise<TraceEnd> {
  return await new Joint("main", options).run();
}

class Joint {
  readonly #socket: TracedSocket;
  readonly #options: TraceOptions;
  readonly #client: Link;
  readonly #server: Link;
  readonly #passages: readonly Passage[];
  #twin: Joint | undefined;
  #twinEnd: Promise<unknown> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #heldUp: Promise<void> | undefined;

  constructor(socket: TracedSocket, options: TraceOptions) {
    this.#socket = socket;
    this.#options = options;
    const onNews = () => this.#pump();
    this.#client = startLink(options.client, onNews);
    this.#server = startLink(options.server, onNews);
    const hasRoom = () => this.#hasRoom();
    this.#passages = [
      new Passage(this.#client, this.#server, hasRoom, (message) => this.#tell("client", message)),
      new Passage(this.#server, this.#client, hasRoom, (message) => this.#tell("server", message)),
    ];
  }

  async run(): Promise<TraceEnd> {
    const { signal, client, server } = this.#options;
    const cancel = () => this.#cancel();
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const first = await Promise.race([
        this.#client.ended.then(({ error }) => ({ end: "client", errno: error }) as const),
        this.#server.ended.then(({ error }) => ({ end: "server", errno: error }) as const),
      ]);
      await Promise.all([this.#client.ended, this.#server.ended]);
      while (this.#heldUp !== undefined) await this.#heldUp; // what came before is told
      this.#twin?.end();
      await this.#twinEnd;
      signal?.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      const peer = first.end === "client" ? client.peer : server.peer;
      return { end: first.end, error: first.errno === 0 ? undefined : broken(peer, first.errno) };
    } finally {
      signal?.removeEventListener("abort", cancel);
      client.close();
      server.close();
    }
  }

  /** Once all is out. */
  end(): void {
    this.#client.end();
    this.#server.end();
  }

  #cancel(): void {
    this.#client.cancel();
    this.#server.cancel();
  }

  #pump(): void {
    try {
      for (const passage of this.#passages) passage.pump();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#cancel();
  }

  /** Otherwise it goes on by itself. */
  #hasRoom(): boolean {
    if (this.#failure !== undefined || this.#heldUp !== undefined) return false;
    const room = this.#options.room?.();
    this.#heldUp = room?.then(
      () => this.#goOn(),
      (error) => {
        this.#heldUp = undefined;
        this.#fail(error);
      },
    );
    return room === undefined;
  }

  #goOn(): void {
    this.#heldUp = undefined;
    this.#pump();
  }

  /** The descriptors to pass on, which are taken over. */
  #tell(from: Side, { bytes, fds }: RawMessage): readonly number[] {
    try {
      this.#options.onMessage({ socket: this.#socket, from, bytes, fds: fds.length });
    } catch (error) {
      closeAll(fds);
      throw error;
    }
    const index = from === "server" ? twinIndex(bytes) : undefined;
    const fd = index === undefined ? undefined : fds[index];
    if (fd === undefined || this.#twin !== undefined) return fds;
    const ours = this.#joinTwin(fd);
    return fds.map((each) => (each === fd ? ours : each));
  }

  /** The client gets an end of ours instead. */
  #joinTwin(fd: number): number {
    const pair = new Int32Array(2);
    const result = library().zc_socket_pair(pair);
    if (result < 0)
      throw new ZcError({ code: "UNSUPPORTED", operation: "open a socket", errno: -result });
    const [near = -1, far = -1] = pair;
    const [client, server] = [takeConnection(near, {}), takeConnection(fd, {})];
    this.#twin = new Joint("twin", { ...this.#options, client, server });
    this.#twinEnd = this.#twin.run().catch((error) => this.#fail(error));
    return far;
  }
}

/** One direction. What there is no room for yet is kept, and nothing more is taken. */
class Passage {
  readonly #from: Link;
  readonly #to: Link;
  readonly #hasRoom: () => boolean;
  readonly #tell: (message: RawMessage) => readonly number[];
  #isHeldUp = false;
  #held: { readonly bytes: Uint8Array; readonly fds: readonly number[] } | undefined;
  #hasEnded = false;

  constructor(
    from: Link,
    to: Link,
    hasRoom: () => boolean,
    tell: (message: RawMessage) => readonly number[],
  ) {
    this.#from = from;
    this.#to = to;
    this.#hasRoom = hasRoom;
    this.#tell = tell;
    void from.ended.then(() => {
      this.#hasEnded = true;
      this.#endIfAll();
    });
  }

  pump(): void {
    for (;;) {
      this.#isHeldUp = this.#held === undefined && !this.#hasRoom();
      if (this.#isHeldUp) return;
      this.#held ??= this.#take();
      if (this.#held === undefined) break;
      const { bytes, fds } = this.#held;
      if (this.#to.send(bytes, undefined, fds) === false) return;
      this.#held = undefined;
      this.#from.settle();
      closeAll(fds);
    }
    this.#endIfAll();
  }

  #take() {
    const message = this.#from.take();
    return message && { bytes: message.bytes, fds: this.#tell(message) };
  }

  #endIfAll(): void {
    if (this.#hasEnded && this.#held === undefined && !this.#isHeldUp) this.#to.end();
  }
}

function startLink(socket: Socket, onNews: () => void): Link {
  const link = Link.start(socket.fd, { sizeMax: messageSizeMax(dataMax), heldMax, onNews });
  if (typeof link !== "number") return link;
  throw new ZcError({ code: "UNSUPPORTED", operation: "start a trace", errno: -link });
}

/** Of the server's reply to VERSION: which of its descriptors is the twin socket. */
function twinIndex(bytes: Uint8Array): number | undefined {
  const { command, type, isError } = readHeader(bytes);
  if (command !== version || type !== "reply" || isError) return undefined;
  try {
    const { capabilities } = decodeVersion(bytes.subarray(headerSize));
    const twin = capabilities?.twin_socket;
    return twin?.supported === true ? (twin.fd_index ?? 0) : undefined;
  } catch {
    return undefined; // the client will say so
  }
}

const version = commands.VERSION;

function broken(peer: string, errno: number): ZcError {
  return new ZcError({ code: "PEER_RESET", operation: "trace", subject: peer, errno });
}
