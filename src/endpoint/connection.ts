/** A connected socket, and how it ends: closed when all went well, reset when not. */

import { library } from "../../ffi/library.ts";
import { family } from "../address/sockaddr.ts";
import { describe } from "../descriptor.ts";
import { closeSocket, level, option, socketNameText, socketType } from "./socket.ts";

/** Disposing resets it, unless it was closed before. */
export interface Connection extends Disposable {
  readonly fd: number;
  readonly domain: number;
  /** Of `socketType`. */
  readonly type: number;
  /** Both names in the address grammar. */
  readonly local: string;
  readonly peer: string;
  /** The socket options that were asked for, as the kernel has them now. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** Ends it as a success: what was sent stays sent. */
  close(): void;
  /** Ends it as a failure: over TCP the peer sees a reset, and takes no part for the whole. */
  reset(): void;
}

/**
 * Takes over a connected socket. Until `close`, its end is a reset, even if this process is killed:
 * SO_LINGER with a time of 0 (socket(7)) makes any close abort a TCP connection. Unix sockets and
 * vsock have no reset; there an early end looks like an end.
 */
export function takeConnection(
  fd: number,
  { inherited = false, settings = {} }: { inherited?: boolean; settings?: Connection["settings"] },
): Connection {
  const { domain, type, nonblocking: wasNonblocking } = describe(fd);
  library().zc_fd_nonblocking(fd, 1);
  const isTcp = (domain === family.inet || domain === family.inet6) && type === socketType.stream;
  if (isTcp) setLinger(fd, true);
  let open = true;
  const end = (aborting: boolean) => {
    if (!open) return;
    open = false;
    if (isTcp) setLinger(fd, aborting);
    if (inherited && !wasNonblocking) library().zc_fd_nonblocking(fd, 0);
    closeSocket(fd);
  };
  return {
    fd,
    domain,
    type,
    local: socketNameText(fd, "own"),
    peer: peerName(fd),
    settings,
    close: () => end(false),
    reset: () => end(true),
    [Symbol.dispose]: () => end(true),
  };
}

/** A unix socket that connects has no name: there the listener's says which connection this is. */
function peerName(fd: number): string {
  const peer = socketNameText(fd, "peer");
  return peer === "unix:" ? socketNameText(fd, "own") : peer;
}

/** struct linger { int l_onoff; int l_linger; } */
function setLinger(fd: number, abort: boolean): void {
  const value = new Uint8Array(new Int32Array([abort ? 1 : 0, 0]).buffer);
  library().zc_socket_set(fd, level.socket, option.linger, value, value.length);
}
