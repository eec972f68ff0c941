/** Where the data of one run comes in. */
import { type Address, formatAddress } from "../address/index.ts";
import type { Connection } from "../endpoint/connection.ts";
import { bindDatagrams } from "../endpoint/datagrams.ts";
import { listen } from "../endpoint/listen.ts";
import { type OwnTransport, ownAddress, ownTransports } from "../endpoint/own-address.ts";
import { usageError, ZcError } from "../errors.ts";
import type { ReceiveRequest } from "./messages.ts";
import { isSameToken, readOpening } from "./opening.ts";

export interface Door extends Disposable {
  /** An address a stream, or one for all; none: where the link was made. */
  readonly addresses: readonly string[];
  /** The next connection that begins with this token of the run's; the caller owns it. */
  accept(token: string, signal: AbortSignal): Promise<Connection>;
}

export type OpenDoor = (request: ReceiveRequest) => Promise<Door>;

/** On an address of this machine's own, for this run alone. Throws CONNECT, UNSUPPORTED. */
export async function openOwnDoor(request: ReceiveRequest): Promise<Door> {
  const { transport } = request;
  if (!isOwn(transport)) {
    const hint = `zc bench ${transport}:… measures to another machine`;
    throw usageError(transport, "both ends cannot be here", hint);
  }
  const address = ownAddress(transport);
  return transport === "udp"
    ? openDatagramDoor(address, request)
    : openStreamDoor(address, request);
}

async function openStreamDoor(address: Address, request: ReceiveRequest): Promise<Door> {
  const { mss, rcvbuf } = request;
  const listener = await listen(address, { mss, rcvbuf }).catch((error) => {
    throw address.transport === "vsock" ? noLoopback() : error;
  });
  const arrivals = new Arrivals(request);
  return {
    addresses: [listener.address],
    accept: async (token, signal) => {
      for (;;) {
        const arrived = arrivals.take(token);
        if (arrived !== undefined) return arrived;
        const connection = await listener.accept({ signal });
        const found = await readOpening(connection, signal).catch(() => undefined);
        if (!arrivals.put(found, connection)) connection.reset();
      }
    },
    [Symbol.dispose]: () => {
      listener.close();
      arrivals[Symbol.dispose]();
    },
  };
}

/** Connections of a run that nobody has asked for yet; no more than the run has. */
export class Arrivals implements Disposable {
  readonly #byToken: ReadonlyMap<string, Connection[]>;
  /** How many may still come. */
  readonly #left: Map<string, number>;

  constructor({ token, answer, streams }: ReceiveRequest) {
    this.#left = new Map([[token, streams]]);
    if (answer !== undefined) this.#left.set(answer.token, 1);
    this.#byToken = new Map(Array.from(this.#left.keys(), (each) => [each, []]));
  }

  /** False: it is not of this run, and stays the caller's. */
  put(token: string | undefined, connection: Connection): boolean {
    for (const [known, connections] of this.#byToken) {
      const left = this.#left.get(known) ?? 0;
      if (token === undefined || left === 0 || !isSameToken(token, known)) continue;
      this.#left.set(known, left - 1);
      connections.push(connection);
      return true;
    }
    return false;
  }

  take(token: string): Connection | undefined {
    return this.#byToken.get(token)?.shift();
  }

  [Symbol.dispose](): void {
    for (const connection of [...this.#byToken.values()].flat()) connection.reset();
  }
}

/** A socket a stream. Nothing says whose datagrams are whose: they are counted as they come. */
export async function openDatagramDoor(
  address: Address,
  { streams, rcvbuf }: ReceiveRequest,
): Promise<Door> {
  const sockets: Connection[] = [];
  const close = () => {
    for (const socket of sockets) socket.close();
  };
  try {
    while (sockets.length < streams) sockets.push(await bindDatagrams(address, { rcvbuf }));
  } catch (error) {
    close();
    throw error;
  }
  const waiting = sockets.values();
  return {
    addresses: sockets.map(({ local }) => local),
    accept: async () => {
      const { value } = waiting.next();
      if (value === undefined) throw usageError(formatAddress(address), "no socket is left");
      return value;
    },
    [Symbol.dispose]: close,
  };
}

function noLoopback(): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    reason: "this machine has no vsock to itself",
    hint: "modprobe vsock_loopback, or measure to a guest: zc bench vsock:CID:PORT",
  });
}

function isOwn(transport: string): transport is OwnTransport {
  return ownTransports.some((own) => own === transport);
}
