/** A device for whoever connects, one client at a time: the next one waits, as with libvfio-user. */
import type { Address } from "../../address/index.ts";
import { acceptNext } from "../../endpoint/accept-next.ts";
import { listen } from "../../endpoint/listen.ts";
import type { ZcError } from "../../errors.ts";
import type { VirtualDevice } from "./device.ts";
import { Session, type SessionOptions } from "./session.ts";

export interface ServeOptions extends SessionOptions {
  readonly address: Address;
  readonly device: VirtualDevice;
  readonly signal: AbortSignal;
  /** One client, and no other. */
  readonly once?: boolean | undefined;
  /** Called with the address to connect to. */
  readonly onListening?: ((address: string) => void) | undefined;
  /** Called when a client is gone, and with an error where it did not go in order. */
  readonly onGone?: ((peer: string, error: ZcError | undefined) => void) | undefined;
}

/** Until the signal aborts, or the one client is gone. Throws CONNECT, or the signal's reason. */
export async function serveDevice(options: ServeOptions): Promise<void> {
  const { address, device, signal, once, onListening, onGone } = options;
  const listener = await listen(address);
  try {
    onListening?.(listener.address);
    do {
      const socket = await acceptNext(listener, signal);
      const session = new Session(socket, device, options);
      const cancel = () => session.cancel();
      signal.addEventListener("abort", cancel, { once: true });
      const error = await session.ended;
      signal.removeEventListener("abort", cancel);
      signal.throwIfAborted();
      onGone?.(socket.peer, error);
    } while (!once && !isOneConnection(listener.address));
  } finally {
    listener.close();
  }
}

/** An inherited socket that listens has its own name. */
function isOneConnection(listening: string): boolean {
  return listening.startsWith("fd:");
}
