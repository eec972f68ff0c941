/** An end of a benchmark as who directs it sees it: a process here, or a connection to another host. */
import { join } from "node:path";
import { library } from "../../ffi/library.ts";
import { type Address, formatAddress } from "../address/index.ts";
import { type ConnectOptions, connect } from "../endpoint/connect.ts";
import { takeConnection } from "../endpoint/connection.ts";
import { closeSocket } from "../endpoint/socket.ts";
import { ZcError } from "../errors.ts";
import { Link } from "./link.ts";
import { type Reply, type Request, replySchema } from "./messages.ts";
import { linkToken, sendOpening } from "./opening.ts";

type ReplyOf<K extends Reply["did"]> = Extract<Reply, { did: K }>;

/** The end itself is gone, or no end: nothing more can be measured. */
export class EndLost extends ZcError {}

const connectMsMax = 10_000;
const cli = join(import.meta.dirname, "..", "cli.ts");
/** The child's end of the link: after its standard streams. */
const linkFd = 3;

export class EndHandle implements AsyncDisposable {
  readonly #link: Link;
  readonly #signal: AbortSignal | undefined;
  readonly #exited: Promise<unknown>;

  private constructor(link: Link, signal: AbortSignal | undefined, exited: Promise<unknown>) {
    this.#link = link;
    this.#signal = signal;
    this.#exited = exited;
  }

  /** A process of its own: what it uses of the CPU is that end's alone. */
  static async start(signal?: AbortSignal): Promise<EndHandle> {
    const pair = new Int32Array(2);
    const error = library().zc_socket_pair(pair);
    if (error < 0) throw new ZcError({ code: "UNSUPPORTED", operation: "pair", errno: -error });
    const [near = -1, far = -1] = pair;
    const child = Bun.spawn([process.execPath, cli, "bench", "serve", "-q", `fd:${linkFd}`], {
      stdio: ["ignore", "ignore", "inherit", far],
      detached: true, // the terminal's Ctrl-C is for who directs it
    });
    closeSocket(far);
    const link = new Link(takeConnection(near, {}), "the other end");
    return new EndHandle(link, signal, child.exited);
  }

  /** `zc bench serve` on another host. Throws CONNECT, TIMEOUT. */
  static async connect(
    address: Address,
    { retryMs, signal }: Pick<ConnectOptions, "retryMs" | "signal"> = {},
  ): Promise<EndHandle> {
    const limits = { timeoutMs: connectMsMax, signal };
    const connection = await connect(address, { retryMs, ...limits });
    await sendOpening(connection, linkToken, limits);
    return new EndHandle(new Link(connection, formatAddress(address)), signal, Promise.resolve());
  }

  /** Asks, and waits for an answer of this kind. Throws the error that is the answer. */
  async ask<K extends Reply["did"]>(request: Request, kind: K): Promise<ReplyOf<K>> {
    await this.tell(request);
    return this.answer(kind);
  }

  async tell(request: Request): Promise<void> {
    await this.#link.send(request, this.#signal);
  }

  /** The next answer, which must be of this kind. */
  async answer<K extends Reply["did"]>(kind: K): Promise<ReplyOf<K>> {
    const reply = await this.#link.receive(replySchema, this.#signal);
    if (reply === undefined) throw this.#broken("it has gone", "PEER_RESET");
    if (reply.did === "fail") throw ZcError.fromJSON(reply.error);
    if (reply.did !== kind) throw this.#broken(`it answered ${reply.did}, not ${kind}`, "PROTOCOL");
    return reply as ReplyOf<K>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link[Symbol.dispose]();
    await this.#exited;
  }

  #broken(reason: string, code: "PEER_RESET" | "PROTOCOL"): ZcError {
    return new EndLost({ code, operation: "measure with", subject: this.#link.peer, reason });
  }
}
