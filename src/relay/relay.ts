/** Joins two addresses: each connection that comes to one goes on to the other. */
import { type Address, formatAddress } from "../address/index.ts";
import { describe } from "../descriptor.ts";
import { acceptNext } from "../endpoint/accept-next.ts";
import { connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { type Listener, listen } from "../endpoint/listen.ts";
import { getInt, level, option } from "../endpoint/socket.ts";
import { usageError, ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import { assertStream, familyOf } from "../transfer/meet.ts";
import { noFlows } from "./flows.ts";
import { join, type LiveJoin } from "./join.ts";
import { type RelaySummary, summarize } from "./summary.ts";
import type { TeeOptions } from "./tees.ts";
import type { Traffic } from "./traffic.ts";

export interface RelayOptions {
  readonly listen: Address;
  readonly to: Address;
  /** Give up a connection when nothing has moved, in either direction, for so long. */
  readonly timeoutMs?: number | undefined;
  /** Give up connecting to `to`. */
  readonly connectTimeoutMs?: number | undefined;
  /** Keep trying to connect to `to` for so long. */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when it listens, with the address to connect to. */
  readonly onListening?: ((address: string) => void) | undefined;
  /** Asked for each connection before it passes anything: pipes for who looks on, taken over. */
  readonly tee?: (() => TeeOptions) | undefined;
  /** Counts what passes. */
  readonly traffic?: Traffic | undefined;
}

export interface RelayAllOptions extends RelayOptions {
  /** At once; those that come meanwhile wait. */
  readonly maxConnections?: number | undefined;
}

export const maxConnectionsDefault = 64;

/**
 * Takes one connection, and resolves when it is over; the summary says how it ended. Throws CONNECT
 * when there is nothing to listen on, and USAGE.
 */
export async function relay(options: RelayOptions): Promise<RelaySummary> {
  const listener = await listenFor(options);
  let near: Connection;
  try {
    near = await listener.accept({ signal: options.signal });
  } finally {
    listener.close();
  }
  return await serve(near, options);
}

/** Takes one connection after another, several at once, until the signal aborts. */
export async function relayAll(
  options: RelayAllOptions,
  onEnd: (summary: RelaySummary) => void,
): Promise<never> {
  const { maxConnections = maxConnectionsDefault } = options;
  assertRepeatable(options);
  const listener = await listenFor(options);
  const stop = new AbortController();
  const signal = eitherSignal(stop.signal, options.signal);
  const running = new Set<Promise<void>>();
  try {
    for (;;) {
      const near = await acceptNext(listener, signal);
      const served = serve(near, { ...options, signal })
        .then(onEnd)
        .catch((error) => stop.abort(error))
        .finally(() => running.delete(served));
      running.add(served);
      if (running.size >= maxConnections) await Promise.race(running);
    }
  } finally {
    listener.close();
    stop.abort();
    await Promise.all(running);
  }
}

/** Before anybody connects in vain. */
async function listenFor({ listen: from, to, onListening }: RelayOptions): Promise<Listener> {
  if (to.transport === "udp")
    throw usageError(formatAddress(to), "a relay needs a stream, not datagrams");
  if (to.transport === "fd" && from.transport === "fd" && to.fd === from.fd)
    throw usageError(formatAddress(to), "it is one connection, and two are joined");
  const listener = await listen(from);
  onListening?.(listener.address);
  return listener;
}

/** A connected socket is one connection, and no more. */
function assertRepeatable({ listen: from, to }: RelayOptions): void {
  const connected = [to, ...(isListening(from) ? [] : [from])];
  const [only] = connected.filter(({ transport }) => transport === "fd");
  if (only !== undefined)
    throw usageError(formatAddress(only), "it is one connection: --keep-open has no use for it");
}

function isListening(address: Address): boolean {
  if (address.transport !== "fd") return true;
  describe(address.fd);
  return getInt(address.fd, level.socket, option.acceptsConnections) === 1;
}

async function serve(accepted: Connection, options: RelayOptions): Promise<RelaySummary> {
  const { to, traffic, connectTimeoutMs, retryMs, signal } = options;
  using near = accepted;
  const begin = performance.now();
  let far: Connection | undefined;
  let live: LiveJoin | undefined;
  const summary = (error?: ZcError) =>
    summarize({
      ...{ near: near.peer, far: far?.peer ?? formatAddress(to), flows: live?.flows ?? noFlows },
      ...{ seconds: (performance.now() - begin) / 1e3, error },
      copied: [near, far].some((end) => end !== undefined && familyOf(end) === "vsock"),
    });
  try {
    far = assertStream(await connect(to, { timeoutMs: connectTimeoutMs, retryMs, signal }));
    const onStart = (started: LiveJoin) => {
      live = started;
      traffic?.begin(started);
    };
    const tee = options.tee?.();
    await join(near, far, { timeoutMs: options.timeoutMs, signal, onStart, tee });
    return summary();
  } catch (error) {
    if (error instanceof ZcError) return summary(error);
    throw error;
  } finally {
    if (live !== undefined) traffic?.end(live);
  }
}
