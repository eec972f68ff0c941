/** How the two ends of a datagram stream find each other: a hello from the client, and its answer. */
import { library } from "../../../ffi/library.ts";
import { type Address, parseAddress } from "../../address/index.ts";
import { decodeSockaddr, formatSocketName } from "../../address/sockaddr.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { bindDatagrams } from "../../endpoint/datagrams.ts";
import { readSome, writeFully } from "../../endpoint/read.ts";
import type { SocketSettings } from "../../endpoint/settings.ts";
import { errnoOf, ZcError } from "../../errors.ts";
import { pollIn, ready } from "../../run-job.ts";
import { hello, helloReply, isHello, isHelloReply } from "./datagram.ts";
import { within } from "./within.ts";

/** A hello is never repeated: the server could take a second one for data. */
const replyMsMax = 10_000;
/** More than a hello, so that nothing longer is taken for one. */
const datagramMax = 64;
const nameMax = 128;

/** The client's part. A server that sends may have begun with that. Throws CONNECT, TIMEOUT. */
export async function sayHello(
  { fd, peer }: Connection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const datagram = new Uint8Array(datagramMax);
  await within({ ms: replyMsMax, signal }, `the answer of ${peer}`, async (limited) => {
    try {
      await writeFully(fd, hello, { signal: limited });
      for (let got = 0; !isHelloReply(datagram.subarray(0, got)); )
        got = (await readSome(fd, datagram, { signal: limited })) ?? 0;
    } catch (error) {
      limited.throwIfAborted();
      const errno = errnoOf(error);
      throw new ZcError({ code: "CONNECT", operation: "send to", subject: peer, errno });
    }
  });
}

/** The server's part: one socket after the other, all at its address. */
export class HelloListener implements Disposable {
  readonly #address: Address;
  readonly #settings: SocketSettings;
  /** Not connected yet. */
  #socket: Connection;

  private constructor(address: Address, settings: SocketSettings, socket: Connection) {
    this.#address = address;
    this.#settings = settings;
    this.#socket = socket;
  }

  /** Throws CONNECT. */
  static async open(address: Address, settings: SocketSettings): Promise<HelloListener> {
    return new HelloListener(address, settings, await bind(address, settings));
  }

  /** Connected to who of `host` says hello next, which is answered. The caller owns it. */
  async accept(host: string, signal: AbortSignal): Promise<Connection> {
    const socket = this.#socket;
    const name = await hearHello(socket.fd, host, signal);
    library().zc_socket_connect(socket.fd, name, name.length);
    // Whoever has the answer may say the next hello: somebody has to hear it.
    this.#socket = await bind(this.#address, this.#settings);
    await writeFully(socket.fd, helloReply, { signal }).catch(() => {}); // it is lost
    return socket;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

function bind(address: Address, settings: SocketSettings): Promise<Connection> {
  return bindDatagrams(address, settings, { isShared: true });
}

/** Returns the struct sockaddr of who said it. What others say is dropped. */
async function hearHello(fd: number, host: string, signal: AbortSignal): Promise<Uint8Array> {
  const datagram = new Uint8Array(datagramMax);
  const name = new Uint8Array(nameMax);
  for (;;) {
    await ready(fd, pollIn, { signal });
    const length = library().zc_datagram_peer(fd, name, name.length);
    const got = (await readSome(fd, datagram, { signal })) ?? 0;
    const from = name.subarray(0, Math.max(length, 0));
    if (isHello(datagram.subarray(0, got)) && hostIn(from) === host) return from;
  }
}

function hostIn(sockaddr: Uint8Array): string | undefined {
  const name = decodeSockaddr(sockaddr);
  if (name.family !== "inet" && name.family !== "inet6") return undefined;
  return hostOf(formatSocketName(name, "udp"));
}

/** Of an address of IP. */
export function hostOf(address: string): string | undefined {
  const parsed = parseAddress(address);
  return "host" in parsed ? parsed.host : undefined;
}
