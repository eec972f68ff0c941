/** The receiving end for benchmarks from other machines: one at a time. */
import type { Address } from "../address/index.ts";
import { acceptNext } from "../endpoint/accept-next.ts";
import { inheritedConnection } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { type Listener, listen } from "../endpoint/listen.ts";
import { usageError, ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import { Arrivals, type Door, openDatagramDoor, openOwnDoor } from "./door.ts";
import { serveEnd } from "./end.ts";
import { Link } from "./link.ts";
import type { ReceiveRequest, Reply } from "./messages.ts";
import { linkToken, readOpening } from "./opening.ts";
import { unlessAborted } from "./unless-aborted.ts";

export interface ServeOptions {
  readonly address: Address;
  readonly signal: AbortSignal;
  /** Called with the address to connect to. */
  readonly onListening?: (address: string) => void;
  /** Called when somebody begins to measure, and with an error that ended it. */
  readonly onSession?: (peer: string, error?: ZcError) => void;
}

/** Between two wishes of a client, which others wait for. */
const linkIdleMsMax = 60_000;
/** Connections that have not yet said what they are for. */
const unknownMax = 64;

/** Serves whoever comes, until the signal aborts. Throws CONNECT, or the signal's reason. */
export async function serve(options: ServeOptions): Promise<void> {
  const { address, signal, onListening } = options;
  if (address.transport === "udp")
    throw usageError(
      "udp",
      "listen on TCP: its clients can ask for datagrams",
      "zc bench serve :5201",
    );
  if (address.transport === "fd") return serveInherited(address.fd, signal);
  const listener = await listen(address);
  try {
    onListening?.(listener.address);
    await new Host(listener, options).run();
  } finally {
    listener.close();
  }
}

/** Set by who starts an end as a process of its own, which may then do what that one may. */
export const endVariable = "ZC_BENCH_END";

/** A link that somebody else has made. */
async function serveInherited(fd: number, signal: AbortSignal): Promise<void> {
  if (process.env[endVariable] === undefined)
    throw usageError(`fd:${fd}`, "a benchmark makes connections of its own");
  using link = new Link(inheritedConnection(fd), "who started it");
  await serveEnd(link, { openDoor: openOwnDoor, maySend: true, signal });
}

/** Takes connections, and gives each to whom it is for. */
class Host {
  readonly #listener: Listener;
  readonly #options: ServeOptions;
  /** Takes the connections of the run that goes on; undefined: there is none. */
  #deliver: ((token: string, connection: Connection) => boolean) | undefined;
  #isBusy = false;
  /** Connections that have not yet said what they are for, the oldest first. */
  readonly #unknown = new Map<Connection, AbortController>();

  constructor(listener: Listener, options: ServeOptions) {
    this.#listener = listener;
    this.#options = options;
  }

  async run(): Promise<never> {
    for (;;) {
      const connection = await acceptNext(this.#listener, this.#options.signal);
      const [oldest] = this.#unknown.values();
      if (this.#unknown.size >= unknownMax) oldest?.abort();
      void this.#take(connection).catch((error) => this.#note(connection.peer, error));
    }
  }

  async #take(connection: Connection): Promise<void> {
    const token = await this.#tokenOf(connection);
    if (token === linkToken) return this.#serveLink(connection);
    if (token === undefined || !this.#deliver?.(token, connection)) connection.reset();
  }

  /** undefined where it does not come, not in time, or others come too fast. */
  async #tokenOf(connection: Connection): Promise<string | undefined> {
    const stop = new AbortController();
    const signal = eitherSignal(stop.signal, this.#options.signal);
    this.#unknown.set(connection, stop);
    try {
      return await readOpening(connection, signal);
    } catch {
      return undefined;
    } finally {
      this.#unknown.delete(connection);
    }
  }

  async #serveLink(connection: Connection): Promise<void> {
    const { signal, onSession } = this.#options;
    using link = new Link(connection, connection.peer);
    if (this.#isBusy) return await link.send(busyReply, signal);
    this.#isBusy = true;
    onSession?.(link.peer);
    try {
      const openDoor = (request: ReceiveRequest) => this.#openDoor(request);
      await serveEnd(link, { openDoor, maySend: false, idleMs: linkIdleMsMax, signal });
    } finally {
      this.#isBusy = false;
    }
  }

  #note(peer: string, error: unknown): void {
    if (this.#options.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    const isKnown = error instanceof ZcError;
    this.#options.onSession?.(peer, isKnown ? error : new ZcError({ code: "PEER_RESET", reason }));
  }

  async #openDoor(request: ReceiveRequest): Promise<Door> {
    const { address } = this.#options;
    if (request.transport !== "udp") return this.#openSharedDoor(request);
    if (address.transport === "tcp")
      return openDatagramDoor({ ...address, transport: "udp", port: 0 }, request);
    const reason = `datagrams go beside TCP, and this is ${address.transport}`;
    throw new ZcError({ code: "UNSUPPORTED", reason });
  }

  /** Data comes to the same address as the link, by whatever name the other side knows it. */
  #openSharedDoor(request: ReceiveRequest): Door {
    const arrivals = new Arrivals(request);
    let news = Promise.withResolvers<void>();
    this.#deliver = (token, connection) => {
      news.resolve();
      return arrivals.put(token, connection);
    };
    return {
      addresses: [],
      accept: async (token, signal) => {
        for (;;) {
          const connection = arrivals.take(token);
          if (connection !== undefined) return connection;
          news = Promise.withResolvers();
          await unlessAborted(news.promise, signal);
        }
      },
      [Symbol.dispose]: () => {
        this.#deliver = undefined;
        arrivals[Symbol.dispose]();
      },
    };
  }
}

const busyReply: Reply = {
  did: "fail",
  error: { code: "CONNECT", message: "it serves somebody else already" },
};
