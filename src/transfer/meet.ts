/** The two peers find each other: one listens, one connects, in either direction of the data. */

import { family } from "../address/sockaddr.ts";
import { connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { type Listener, listen } from "../endpoint/listen.ts";
import { socketType } from "../endpoint/socket.ts";
import { usageError } from "../errors.ts";
import type { TransferOptions } from "./options.ts";
import type { SocketFamily } from "./plan.ts";

/** A connection made as the options say. The caller owns it. */
export async function meet(
  options: TransferOptions,
  role: "connect" | "listen",
): Promise<Connection> {
  if (role === "connect") return assertStream(await connectTo(options));
  const listener = await listenOn(options);
  try {
    return await acceptFrom(listener, options);
  } finally {
    listener.close();
  }
}

function connectTo(options: TransferOptions): Promise<Connection> {
  return connect(options.address, {
    settings: options.settings,
    timeoutMs: options.connectTimeoutMs,
    retryMs: options.retryMs,
    signal: options.signal,
  });
}

/** Datagrams are lost and overtake each other: what arrives would be no copy of what was sent. */
export function assertStream(connection: Connection): Connection {
  if (connection.type === socketType.stream) return connection;
  connection.reset();
  throw usageError(connection.peer, "a transfer needs a stream, not datagrams");
}

export async function listenOn(options: TransferOptions): Promise<Listener> {
  const listener = await listen(options.address, options.settings);
  options.onListening?.(listener.address);
  return listener;
}

export function acceptFrom(listener: Listener, options: TransferOptions): Promise<Connection> {
  return listener.accept({
    timeoutMs: options.connectTimeoutMs,
    signal: options.signal,
  });
}

export function familyOf(connection: Connection): SocketFamily {
  if (connection.domain === family.unix) return "unix";
  return connection.domain === family.vsock ? "vsock" : "tcp";
}
