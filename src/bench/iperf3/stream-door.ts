/** Where the data connections of a test come in, as a server gets them. */
import type { Address } from "../../address/index.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { unlessAborted } from "../unless-aborted.ts";
import { HelloListener, hostOf } from "./hello.ts";
import type { TestParameters } from "./parameters.ts";

/** Connections are told apart by when they came: a cookie may be read before that of one before. */
export interface Arrival {
  readonly connection: Connection;
  /** Higher than that of each that came before. */
  readonly order: number;
}

export class StreamDoor implements Disposable {
  readonly #arrivals: Arrival[] = [];
  readonly #wanted: number;
  /** Of datagrams. */
  readonly #hellos: HelloListener | undefined;
  readonly #complete = Promise.withResolvers<void>();

  private constructor(wanted: number, hellos: HelloListener | undefined) {
    this.#wanted = wanted;
    this.#hellos = hellos;
  }

  /** Datagrams come to the port that TCP listens on. Throws CONNECT. */
  static async open(parameters: TestParameters, address: Address): Promise<StreamDoor> {
    const { direction, streams, protocol, socketBuffer } = parameters;
    const wanted = direction === "bidirectional" ? 2 * streams : streams;
    if (protocol === "tcp") return new StreamDoor(wanted, undefined);
    const buffer = socketBuffer || undefined;
    const udp = { ...address, transport: "udp" } as Address;
    return new StreamDoor(
      wanted,
      await HelloListener.open(udp, { sndbuf: buffer, rcvbuf: buffer }),
    );
  }

  /** In the order in which they came; closed with the door. */
  get connections(): readonly Connection[] {
    const inOrder = this.#arrivals.toSorted((one, other) => one.order - other.order);
    return inOrder.map(({ connection }) => connection);
  }

  /** Whether the connection is one of those that are waited for: then it is the door's. */
  take(arrival: Arrival): boolean {
    if (this.#hellos !== undefined || this.#arrivals.length >= this.#wanted) return false;
    this.#arrivals.push(arrival);
    if (this.#arrivals.length === this.#wanted) this.#complete.resolve();
    return true;
  }

  /** Resolves when all have come; `peer` is who may make them. */
  async all(peer: string, signal: AbortSignal): Promise<void> {
    if (this.#hellos === undefined) return unlessAborted(this.#complete.promise, signal);
    const host = hostOf(peer) ?? "";
    for (let order = 0; order < this.#wanted; order++)
      this.#arrivals.push({ connection: await this.#hellos.accept(host, signal), order });
  }

  [Symbol.dispose](): void {
    this.#hellos?.[Symbol.dispose]();
    for (const { connection } of this.#arrivals) connection.close();
  }
}
