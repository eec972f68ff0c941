/** One end of a benchmark: does what comes over the link, one thing after another, until it closes. */
import { ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import type { OpenDoor } from "./door.ts";
import type { Link } from "./link.ts";
import { describeMachine, sourceBytesFor } from "./machine.ts";
import { Memories } from "./memories.ts";
import { type PrepareRequest, type Reply, type Request, requestSchema } from "./messages.ts";
import { bindToProcessor } from "./processor.ts";
import { receiveStreams } from "./receiver.ts";
import { sendStreams } from "./sender.ts";

export interface EndOptions {
  readonly openDoor: OpenDoor;
  /** To where the link's peer says: for peers that could do so themselves. */
  readonly maySend: boolean;
  readonly signal: AbortSignal;
}

/** Returns when the link has ended. Errors of what was asked for are replies. Throws PROTOCOL. */
export async function serveEnd(link: Link, options: EndOptions): Promise<void> {
  const { signal } = options;
  using end = new End(link, options);
  for (;;) {
    const request = await link.receive(requestSchema, signal);
    if (request === undefined) return;
    end.take(request);
  }
}

class End implements Disposable {
  readonly #link: Link;
  readonly #options: EndOptions;
  readonly #signal: AbortSignal;
  /** What is under way ends when these abort: by a request, or because the link has closed. */
  #stop = new AbortController();
  readonly #closed = new AbortController();
  #last: Promise<void> = Promise.resolve();
  /** undefined until it was asked to prepare. */
  #memories: Memories | undefined;

  constructor(link: Link, options: EndOptions) {
    this.#link = link;
    this.#options = options;
    this.#signal = eitherSignal(this.#closed.signal, options.signal);
  }

  take(request: Request): void {
    if (request.do === "stop") {
      this.#stop.abort(new ZcError({ code: "PEER_RESET", reason: "stopped" }));
      return;
    }
    this.#last = this.#last.then(() => this.#answer(request));
  }

  /** What runs lets go of the memory before it is freed. */
  [Symbol.dispose](): void {
    this.#closed.abort(new ZcError({ code: "PEER_RESET", reason: "the link has closed" }));
    void this.#last.then(() => this.#memories?.[Symbol.dispose]());
  }

  async #answer(request: Exclude<Request, { do: "stop" }>): Promise<void> {
    try {
      await this.#reply(await this.#run(request));
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!(error instanceof ZcError)) throw error;
      await this.#reply({ did: "fail", error: error.toJSON() }).catch(() => {});
    }
  }

  async #run(request: Exclude<Request, { do: "stop" }>): Promise<Reply> {
    this.#stop = new AbortController();
    if (request.do === "prepare") return this.#prepare(request);
    if (request.do === "send") {
      if (!this.#options.maySend) throw new ZcError({ code: "AUTH", reason: "it only receives" });
      if (this.#memories === undefined)
        throw new ZcError({ code: "PROTOCOL", reason: "to send was asked for before to prepare" });
      const memories = this.#memories.take(request.streams, request.size);
      return sendStreams(request, memories, eitherSignal(this.#stop.signal, this.#signal));
    }
    using door = await this.#options.openDoor(request);
    await this.#reply({ did: "listen", addresses: [...door.addresses] });
    return await receiveStreams(door, request, this.#stop.signal, this.#signal);
  }

  #prepare(request: PrepareRequest): Reply {
    this.#memories?.[Symbol.dispose]();
    if (request.processor !== undefined) bindToProcessor(request.processor);
    const machine = describeMachine();
    const sourceBytes = request.sourceBytes ?? sourceBytesFor(machine);
    const { misalign, touch, hugePages } = request;
    this.#memories = new Memories({ sourceBytes, misalign, touch, hugePages });
    return { did: "prepare", machine, sourceBytes };
  }

  async #reply(reply: Reply): Promise<void> {
    await this.#link.send(reply, this.#signal);
  }
}
