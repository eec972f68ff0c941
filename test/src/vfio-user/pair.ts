/** Two connected vfio-user connections in this process, and raw sockets for peers that misbehave. */
import { library } from "../../../ffi/library.ts";
import { type Connection as Socket, takeConnection } from "../../../src/endpoint/connection.ts";
import { Connection, type ConnectionOptions } from "../../../src/vfio-user/connection.ts";

export const noReply = { payload: new Uint8Array(0) };

export const defaults: ConnectionOptions = {
  onRequest: () => noReply,
  maxDataXferSize: 1 << 20,
  fdsMax: 253,
};

/** Two ends of one unix stream socket. */
export function socketPair(): [Socket, Socket] {
  const fds = new Int32Array(2);
  const result = library().zc_socket_pair(fds);
  if (result < 0) throw new Error(`socketpair: ${result}`);
  return [takeConnection(fds[0] ?? -1, {}), takeConnection(fds[1] ?? -1, {})];
}

export function connectionPair(
  one: Partial<ConnectionOptions> = {},
  two: Partial<ConnectionOptions> = {},
): [Connection, Connection] {
  const [near, far] = socketPair();
  return [
    new Connection(near, { ...defaults, ...one }),
    new Connection(far, { ...defaults, ...two }),
  ];
}
