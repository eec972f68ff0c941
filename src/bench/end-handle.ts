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
import { endVariable } from "./serve.ts";

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
  readonly #end: () => Promise<void>;

  private constructor(link: Link, signal: AbortSignal | undefined, end: () => Promise<void>) {
    this.#link = link;
    this.#signal = signal;
    this.#end = end;
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
      env: { ...process.env, [endVariable]: "1" },
    });
    closeSocket(far);
    const link = new Link(takeConnection(near, {}), "the other end");
    return new EndHandle(link, signal, () => exitOf(child));
  }

  /** `zc bench serve` on another host. Throws CONNECT, TIMEOUT. */
  static async connect(
    address: Address,
    { retryMs, signal }: Pick<ConnectOptions, "retryMs" | "signal"> = {},
  ): Promise<EndHandle> {
    const limits = { timeoutMs: connectMsMax, signal };
    const connection = await connect(address, { retryMs, ...limits });
    await sendOpening(connection, linkToken, limits);
    return new EndHandle(new Link(connection, formatAddress(address)), signal, async () => {});
  }

  /** Asks, and waits for an answer of this kind. Throws the error that is the answer, TIMEOUT. */
  async ask<K extends Reply["did"]>(
    request: Request,
    kind: K,
    idleMs?: number,
  ): Promise<ReplyOf<K>> {
    await this.tell(request);
    return this.answer(kind, idleMs);
  }

  async tell(request: Request): Promise<void> {
    await this.#link.send(request, this.#signal);
  }

  /** The next answer, which must be of this kind and come within `idleMs`. */
  async answer<K extends Reply["did"]>(kind: K, idleMs?: number): Promise<ReplyOf<K>> {
    const reply = await this.#reply(idleMs);
    if (reply === undefined) throw this.#broken("it has gone", "PEER_RESET");
    if (reply.did === "fail") throw ZcError.fromJSON(reply.error);
    if (reply.did !== kind) throw this.#broken(`it answered ${reply.did}, not ${kind}`, "PROTOCOL");
    return reply as ReplyOf<K>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link[Symbol.dispose]();
    await this.#end();
  }

  /** What is said wrongly, or not at all, is the last that this end says. */
  async #reply(idleMs: number | undefined): Promise<Reply | undefined> {
    try {
      return await this.#link.receive(replySchema, { idleMs, signal: this.#signal });
    } catch (error) {
      throw error instanceof ZcError ? new EndLost(error) : error;
    }
  }

  #broken(reason: string, code: "PEER_RESET" | "PROTOCOL"): ZcError {
    return new EndLost({ code, operation: "measure with", subject: this.#link.peer, reason });
  }
}

const exitMsMax = 1000;

/** It ends when its link has; if it does not, it is ended. */
async function exitOf(child: { exited: Promise<number>; kill: (signal: "SIGKILL") => void }) {
  const timer = setTimeout(() => child.kill("SIGKILL"), exitMsMax);
  await child.exited;
  clearTimeout(timer);
}
