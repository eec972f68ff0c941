/**
 * One vfio-user connection, either side of it. One receiver takes what arrives: replies go to whoever
 * waits for them, by message id, at once; requests are handled one after another, in their order.
 * Whatever the peer does, nobody waits for it longer than he said.
 */
import { constants } from "node:os";
import { setImmediate as turn } from "node:timers/promises";
import { library } from "../../ffi/library.ts";
import { Link, type RawMessage } from "../../ffi/link.ts";
import type { Connection as Socket } from "../endpoint/connection.ts";
import { level, option, setInt } from "../endpoint/socket.ts";
import { ZcError } from "../errors.ts";
import { joinBytes } from "../vfio/record.ts";
import { type CommandName, commandName, commands } from "./protocol/commands.ts";
import {
  encodeHeader,
  type Header,
  headerSize,
  messageSizeMax,
  readHeader,
} from "./protocol/header.ts";
import { Malformed } from "./protocol/malformed.ts";
import { Refusal } from "./refusal.ts";

/** What the peer asks for. */
export interface Request {
  /** A command's number; there need not be such a command. */
  readonly command: number;
  readonly payload: Uint8Array;
  /** Those that the handler keeps, it takes out; the others are closed when it is done. */
  readonly fds: number[];
}

export interface Reply {
  readonly payload: Uint8Array;
  /** What follows the payload; borrowed for the call. Of a reply that came, it is in the payload. */
  readonly data?: Uint8Array | undefined;
  /** Stay the sender's, who may close them once the call has resolved; of a reply that came, his. */
  readonly fds?: readonly number[] | undefined;
  /** Of a handler's reply: told once nothing of it is borrowed any more. */
  readonly onSent?: (() => void) | undefined;
}

export interface ConnectionOptions {
  /** Throws Refusal or Malformed for what is not done: the peer is told. */
  readonly onRequest: (request: Request) => Reply | Promise<Reply>;
  /** Told of a request that was answered with an error. */
  readonly onRefusal?: ((command: number, error: unknown) => void) | undefined;
  /** Bytes of data that are taken in a message. */
  readonly maxDataXferSize: number;
  /** Descriptors that are taken in a message. */
  readonly fdsMax: number;
  /** How long a request waits for its reply, where it does not say. */
  readonly timeoutMs?: number | undefined;
}

export interface RequestOptions {
  readonly data?: Uint8Array | undefined;
  readonly fds?: readonly number[] | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A message that there was no room for. */
interface Unsent {
  readonly header: Header;
  /** Whether it is done with: it was taken, or never will be. */
  readonly attempt: () => boolean;
}

interface Waiter {
  readonly command: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

export const replyTimeoutMsDefault = 10_000;
const { EINVAL, EIO, ECANCELED } = constants.errno;
/** Ids from here on are taken in C: c/link.h. */
const idEnd = 0x8000;
/** Under way at once. */
const waitersMax = 1024;
/** Given up without a reply: a device that leaves so many unanswered is asked no more. */
const abandonedMax = 4096;
/** Requests that wait for their turn; more stay in C, and then in the socket. */
const requestsMax = 1024;
/** Likewise: their descriptors. */
const requestFdsMax = 253;
/** As many of the largest messages may wait in C, on either side of us, and here. */
const heldMessages = 8;
/** Messages that are looked at before timers, signals and other connections have their turn. */
const turnMessages = 256;
/** For the peer to take what was sent, before the connection is broken. */
const closeTimeoutMs = 10_000;

/** Owns the socket. */
export class Connection implements Disposable {
  /**
   * Resolves when it is over, and what came before is handled: with why, unless either side has closed
   * it in order. Never rejects.
   */
  readonly ended: Promise<ZcError | undefined>;
  readonly peer: string;
  readonly link: Link;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #waiters = new Map<number, Waiter>();
  /** Ids of requests that were given up: their replies may still come. */
  readonly #abandoned = new Set<number>();
  readonly #requests: RawMessage[] = [];
  /** Of these: bytes that may wait, those that do, and descriptors. */
  readonly #heldMax: number;
  #held = 0;
  #heldFds = 0;
  /** In their order. */
  readonly #unsent: Unsent[] = [];
  /** Why the peer's messages are none, or cannot be taken. */
  #failure: ZcError | undefined;
  #nextId = 0;
  #isHandling = false;
  #handling = Promise.resolve();

  constructor(socket: Socket, options: ConnectionOptions) {
    const sizeMax = messageSizeMax(options.maxDataXferSize);
    this.#heldMax = heldMessages * sizeMax;
    const settings = { sizeMax, heldMax: this.#heldMax, onNews: () => this.#onNews() };
    enlargeSendBuffer(socket.fd, sizeMax);
    const link = Link.start(socket.fd, settings);
    if (typeof link === "number") {
      socket.reset();
      throw new ZcError({ code: "UNSUPPORTED", operation: "start a connection", errno: -link });
    }
    this.link = link;
    this.#socket = socket;
    this.#options = options;
    this.peer = socket.peer;
    this.ended = this.#end();
  }

  /**
   * Resolves with the reply, whose descriptors are the caller's. Throws DEVICE with the errno that the
   * peer refuses it with, TIMEOUT, PEER_RESET, or the signal's reason.
   */
  async request(
    name: CommandName,
    payload: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Reply> {
    const { timeoutMs = this.#options.timeoutMs ?? replyTimeoutMsDefault, signal } = options;
    signal?.throwIfAborted();
    this.#assertFree(name);
    const id = this.#takeId();
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const giveUp = (error: unknown) => {
      if (!this.#withdraw(id)) this.#abandoned.add(id);
      reject(error);
    };
    const timer = setTimeout(
      () => giveUp(this.#error("TIMEOUT", name, `no reply within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const abort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#waiters.set(id, { command: commands[name], resolve, reject });
    try {
      this.#send({ ...noHeader, id, command: commands[name] }, payload, options).catch(reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#waiters.delete(id);
      this.#withdraw(id);
    }
  }

  #assertFree(name: CommandName): void {
    if (this.#waiters.size >= waitersMax)
      throw this.#error("TIMEOUT", name, `${waitersMax} requests are under way already`);
    if (this.#abandoned.size >= abandonedMax)
      throw this.#error("TIMEOUT", name, `${abandonedMax} requests were never answered`);
  }

  /** Whether a request was still waiting to be sent: what was lent for it is the caller's again. */
  #withdraw(id: number): boolean {
    const index = this.#unsent.findIndex(
      ({ header }) => header.id === id && header.type === "command",
    );
    if (index >= 0) this.#unsent.splice(index, 1);
    return index >= 0;
  }

  /** Asks for something, and for no reply: nobody is told whether it was done. */
  async post(name: CommandName, payload: Uint8Array, options: RequestOptions = {}): Promise<void> {
    const header = { ...noHeader, id: this.#takeId(), command: commands[name], noReply: true };
    await this.#send(header, payload, options);
  }

  /** Ends it once everything that was sent is out, if the peer takes it in time. */
  close(): void {
    this.link.end();
    const timer = setTimeout(() => this.link.cancel(), closeTimeoutMs);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** Ends it at once. */
  [Symbol.dispose](): void {
    this.link.cancel();
  }

  async #end(): Promise<ZcError | undefined> {
    const { error } = await this.link.ended;
    const failure =
      this.#failure ?? this.#error("PEER_RESET", undefined, "the connection has ended", error);
    for (const { reject } of this.#waiters.values()) reject(failure);
    for (const { attempt } of this.#unsent.splice(0)) attempt();
    this.#socket.close();
    await this.#handling;
    const isInOrder = error === 0 || error === ECANCELED;
    return isInOrder ? this.#failure : failure;
  }

  #onNews(): void {
    while (this.#unsent[0]?.attempt()) this.#unsent.shift();
    this.#takeArrived();
    if (!this.#isHandling) this.#handling = this.#handleRequests();
  }

  #takeArrived(): void {
    for (let taken = 0; this.#hasRoom(); taken++) {
      if (taken === turnMessages) {
        setImmediate(() => this.#onNews());
        break;
      }
      const message = this.link.take();
      if (message === undefined) break;
      this.#sort(message);
    }
  }

  #hasRoom(): boolean {
    const count = this.#requests.length;
    return count < requestsMax && this.#held < this.#heldMax && this.#heldFds < requestFdsMax;
  }

  /** A reply that nobody ever asked for is as wrong as a request can be, and handled as one. */
  #sort(message: RawMessage): void {
    const { type, id, command, isError, errno } = readHeader(message.bytes);
    const isReply = type === "reply" && !message.sizeBad;
    const waiter = isReply ? this.#waiters.get(id) : undefined;
    const isLate = isReply && (id >= idEnd || this.#abandoned.delete(id) || isError);
    if (waiter === undefined && !isLate) {
      this.#keep(message);
      return;
    }
    this.link.settle();
    this.#waiters.delete(id); // another reply is one that nobody asked for
    const { bytes, fds } = message;
    if (waiter === undefined || isError || waiter.command !== command) closeAll(fds);
    if (isError) waiter?.reject(this.#refused(command, errno));
    else if (waiter?.command !== command) waiter?.reject(this.#unexpected(command));
    else waiter.resolve({ payload: bytes.subarray(headerSize), fds });
  }

  #keep(message: RawMessage): void {
    this.#requests.push(message);
    this.#held += message.bytes.length;
    this.#heldFds += message.fds.length;
  }

  async #handleRequests(): Promise<void> {
    this.#isHandling = true;
    let handled = 0;
    for (let next = this.#nextRequest(); next !== undefined; next = this.#nextRequest()) {
      await this.#handle(next);
      this.link.settle();
      if (++handled % turnMessages === 0) await turn();
    }
    this.#isHandling = false;
  }

  /** There may be more in C, while there were enough here. */
  #nextRequest(): RawMessage | undefined {
    this.#takeArrived();
    const message = this.#requests.shift();
    this.#held -= message?.bytes.length ?? 0;
    this.#heldFds -= message?.fds.length ?? 0;
    return message;
  }

  async #handle(message: RawMessage): Promise<void> {
    const { id, command, noReply } = readHeader(message.bytes);
    const fds = [...message.fds];
    const header = { ...noHeader, id, command, type: "reply" } as const;
    try {
      const reply = await this.#answer(message, fds);
      try {
        if (!noReply) await this.#send(header, reply.payload, reply);
      } finally {
        reply.onSent?.();
      }
    } catch (error) {
      if (error instanceof ZcError && error.code === "PEER_RESET") return; // nobody hears it
      this.#options.onRefusal?.(command, error);
      const errno = error instanceof Refusal ? error.errno : EIO;
      if (!noReply)
        await this.#send({ ...header, isError: true, errno }, noPayload).catch(() => {});
      if (error instanceof Refusal && error.ends) this.close();
    } finally {
      closeAll(fds);
    }
  }

  async #answer(message: RawMessage, fds: number[]): Promise<Reply> {
    const { type, command } = readHeader(message.bytes);
    const payload = message.bytes.subarray(headerSize);
    if (message.sizeBad) {
      const reason = "its size is none that a message can have";
      this.#failure = this.#error("PROTOCOL", nameOf(command), reason);
      throw new Refusal(EINVAL, reason, { ends: true });
    }
    if (message.fdsLost || message.fds.length > this.#options.fdsMax)
      throw new Refusal(EINVAL, "it came with too many descriptors");
    if (type !== "command") throw new Refusal(EINVAL, "it is no command");
    try {
      return await this.#options.onRequest({ command, payload, fds });
    } catch (error) {
      if (error instanceof Malformed) throw new Refusal(EINVAL, error.message);
      throw error;
    }
  }

  /** Resolves when it is out, or C has a copy. Throws PEER_RESET. */
  #send(header: Header, payload: Uint8Array, { data, fds }: RequestOptions = {}): Promise<void> {
    const size = headerSize + payload.length + (data?.length ?? 0);
    const head = joinBytes(encodeHeader({ ...header, size }), payload);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const attempt = () => {
      const result = this.link.send(head, data, fds);
      if (result === true) resolve();
      else if (result !== false)
        reject(this.#error("PEER_RESET", nameOf(header.command), undefined, -result));
      return result !== false;
    };
    if (this.#unsent.length > 0 || !attempt()) this.#unsent.push({ header, attempt });
    return promise;
  }

  #takeId(): number {
    do {
      this.#nextId = (this.#nextId + 1) % idEnd;
    } while (this.#waiters.has(this.#nextId) || this.#abandoned.has(this.#nextId));
    return this.#nextId;
  }

  #refused(command: number, errno: number): ZcError {
    return this.#error("DEVICE", nameOf(command), "the device refuses it", errno || EINVAL);
  }

  #unexpected(command: number): ZcError {
    return this.#error(
      "PROTOCOL",
      undefined,
      `a reply to ${nameOf(command)}, which nobody asked for`,
    );
  }

  #error(
    code: ZcError["code"],
    operation: string | undefined,
    reason: string | undefined,
    errno = 0,
  ): ZcError {
    return new ZcError({
      code,
      operation,
      subject: this.peer,
      reason,
      ...(errno !== 0 && { errno }),
    });
  }
}

/** So that a whole message leaves at once, as far as that is allowed. */
function enlargeSendBuffer(fd: number, size: number): void {
  if (setInt(fd, level.socket, option.sendBufferForce, size) < 0)
    setInt(fd, level.socket, option.sendBuffer, size);
}

const noPayload = new Uint8Array(0);
const noHeader: Header = {
  id: 0,
  command: 0,
  size: 0,
  type: "command",
  noReply: false,
  isError: false,
  errno: 0,
};

function nameOf(command: number): string {
  return commandName(command) ?? `command ${command}`;
}

/** Descriptors that came with a message, and that nobody keeps. */
export function closeAll(fds: readonly number[] = []): void {
  for (const fd of fds) library().zc_close_later(fd);
}
