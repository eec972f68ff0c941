/** Answers iperf3 clients, one test at a time. */
import { type Address, parseAddress } from "../../address/index.ts";
import { acceptNext } from "../../endpoint/accept-next.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { type Listener, listen } from "../../endpoint/listen.ts";
import { readFully } from "../../endpoint/read.ts";
import type { SendMode } from "../../transfer/plan.ts";
import { Control } from "./control.ts";
import { cookieSize } from "./cookie.ts";
import { Session } from "./session.ts";
import { encodeState } from "./states.ts";
import type { Arrival } from "./stream-door.ts";

export interface Iperf3ServerOptions {
  /** TCP: datagrams come to the same port. */
  readonly address: Address;
  /** How it sends, where a client does not ask for sendfile. */
  readonly mode: SendMode;
  readonly signal: AbortSignal;
  /** Called with the address to connect to. */
  readonly onListening?: ((address: string) => void) | undefined;
  /** Told, a line at a time, which test begins, what it came to, or why it did not. */
  readonly onTest?: ((line: string) => void) | undefined;
}

const cookieMsMax = 5000;
/** Connections that belong to no test: their cookie has not come yet, or they are denied. */
const unknownMax = 64;

/** Serves whoever comes, until the signal aborts. Throws CONNECT, or the signal's reason. */
export async function serveIperf3(options: Iperf3ServerOptions): Promise<void> {
  const listener = await listen(options.address);
  try {
    options.onListening?.(listener.address);
    const address = parseAddress(listener.address);
    await new Host(listener, { ...options, address }).run();
  } finally {
    listener.close();
  }
}

/** Takes connections, and gives each to the test that it belongs to. */
class Host {
  readonly #listener: Listener;
  readonly #options: Iperf3ServerOptions;
  readonly #taken = new Set<Promise<void>>();
  /** The one that goes on, or the last: a connection of it may come late. */
  #session: Session | undefined;
  #unknown = 0;

  constructor(listener: Listener, options: Iperf3ServerOptions) {
    this.#listener = listener;
    this.#options = options;
  }

  async run(): Promise<never> {
    const { signal } = this.#options;
    try {
      for (let order = 0; ; order++) {
        const connection = await acceptNext(this.#listener, signal);
        if (this.#unknown >= unknownMax) connection.reset();
        else this.#begin(this.#take({ connection, order }));
      }
    } finally {
      await Promise.allSettled(this.#taken);
    }
  }

  #begin(taken: Promise<void>): void {
    this.#taken.add(taken);
    void taken.finally(() => this.#taken.delete(taken));
  }

  async #take(arrival: Arrival): Promise<void> {
    this.#unknown++;
    const session = await this.#sessionOf(arrival);
    this.#unknown--;
    await session?.run();
  }

  /** The session that the connection begins; others it joins, or it is closed. */
  async #sessionOf(arrival: Arrival): Promise<Session | undefined> {
    const { connection } = arrival;
    const cookie = await this.#cookieOf(connection);
    const last = this.#session;
    if (cookie === undefined) connection.close();
    if (cookie === undefined || last?.take(arrival, cookie)) return undefined;
    const control = new Control(connection, "client");
    if (last === undefined || last.makesRoomFor(cookie)) {
      this.#session = new Session(control, cookie, this.#options);
      return this.#session;
    }
    control.tryToSend(encodeState("ACCESS_DENIED"));
    await control.close();
    return undefined;
  }

  /** Bytes as many as one has; undefined where they do not come, or not in time. */
  async #cookieOf({ fd }: Connection): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(cookieSize);
    const limits = { timeoutMs: cookieMsMax, signal: this.#options.signal };
    const isWhole = await readFully(fd, bytes, limits).catch(() => false);
    return isWhole ? bytes : undefined;
  }
}
