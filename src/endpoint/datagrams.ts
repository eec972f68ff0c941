/** Sockets that receive datagrams. */
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { type Address, formatAddress } from "../address/index.ts";
import { usageError, ZcError } from "../errors.ts";
import { type Connection, takeConnection } from "./connection.ts";
import { applySettings, type SocketSettings } from "./settings.ts";
import { closeSocket, level, openSocket, option, setInt, socketType } from "./socket.ts";
import { transportOf } from "./transports.ts";

/**
 * A socket that is bound, and hears everybody. With `isShared` others may be bound there, too: each
 * that is connected hears its peer, and the last one that is not all others. The caller owns it.
 * Throws CONNECT.
 */
export async function bindDatagrams(
  address: Address,
  settings: SocketSettings = {},
  { isShared = false }: { readonly isShared?: boolean } = {},
): Promise<Connection> {
  if (address.transport !== "udp") throw usageError(formatAddress(address), "no datagrams there");
  const transport = transportOf(address);
  const [candidate] = await transport.toListen(address);
  if (candidate === undefined) throw bindError(address, constants.errno.EADDRNOTAVAIL);
  const fd = openSocket(candidate.domain, socketType.datagram);
  if (fd < 0) throw bindError(address, -fd);
  try {
    applySettings(fd, transport.settings, settings);
    if (isShared) setInt(fd, level.socket, option.reuseAddress, 1);
    const { sockaddr } = candidate;
    const result = library().zc_socket_bind(fd, sockaddr, sockaddr.length);
    if (result < 0) throw bindError(address, -result);
    return takeConnection(fd, {});
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

function bindError(address: Address, errno: number): ZcError {
  return new ZcError({
    code: "CONNECT",
    operation: "bind",
    subject: formatAddress(address),
    errno,
  });
}
