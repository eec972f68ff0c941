/** One end of a benchmark: does what comes over the link, one thing after another, until it closes. */
import { errnoOf, ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import type { OpenDoor } from "./door.ts";
import type { Link } from "./link.ts";
import { describeMachine, sourceBytesFor } from "./machine.ts";
import { Memories } from "./memories.ts";
import { type PrepareRequest, type Reply, type Request, requestSchema } from "./messages.ts";
import { bindToAnyProcessor, bindToProcessor } from "./processor.ts";
import { receiveStreams } from "./receiver.ts";
import { sendStreams } from "./sender.ts";

export interface EndOptions {
  readonly openDoor: OpenDoor;
  /** To where the link's peer says: for peers that could do so themselves. */
  readonly maySend: boolean;
  /** The link ends when nothing was asked for so long, and nothing runs. */
  readonly idleMs?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Returns when the link has ended, and nothing of it runs any more. Errors of what was asked for are
 * replies. Throws PROTOCOL, TIMEOUT.
 */
export async function serveEnd(link: Link, options: EndOptions): Promise<void> {
  await using end = new End(link, options);
  const limits = { signal: options.signal, idleMs: options.idleMs, isBusy: () => end.isBusy };
  for (;;) {
    const request = await link.receive(requestSchema, limits);
    if (request === undefined) return;
    end.take(request);
  }
}

type Task = Exclude<Request, { do: "stop" }>;

class End implements AsyncDisposable {
  readonly #link: Link;
  readonly #options: EndOptions;
  readonly #signal: AbortSignal;
  /** What is under way ends when these abort: by a request, or because the link has closed. */
  #stop = new AbortController();
  readonly #closed = new AbortController();
  #isRunning = false;
  /** All that was asked for, its answers included. */
  #tasks: Promise<unknown> = Promise.resolve();
  /** undefined until it was asked to prepare. */
  #memories: Memories | undefined;

  constructor(link: Link, options: EndOptions) {
    this.#link = link;
    this.#options = options;
    this.#signal = eitherSignal(this.#closed.signal, options.signal);
  }

  get isBusy(): boolean {
    return this.#isRunning;
  }

  /** One at a time: who asks waits for the answer. Throws PROTOCOL. */
  take(request: Request): void {
    if (request.do === "stop") {
      this.#stop.abort(new ZcError({ code: "PEER_RESET", reason: "stopped" }));
      return;
    }
    if (this.isBusy) {
      const reason = "it asked for something while something else ran";
      throw new ZcError({
        code: "PROTOCOL",
        operation: "talk to",
        subject: this.#link.peer,
        reason,
      });
    }
    this.#stop = new AbortController();
    this.#isRunning = true;
    this.#tasks = Promise.all([this.#tasks, this.#answer(request)]);
  }

  /** What runs lets go of the memory, and of the link, before they go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new ZcError({ code: "PEER_RESET", reason: "the link has closed" }));
    await this.#tasks;
    this.#memories?.[Symbol.dispose]();
    bindToAnyProcessor();
  }

  async #answer(request: Task): Promise<void> {
    const reply = await this.#outcome(request);
    this.#isRunning = false;
    if (!this.#signal.aborted) await this.#link.send(reply);
  }

  async #outcome(request: Task): Promise<Reply> {
    try {
      return await this.#run(request);
    } catch (error) {
      return { did: "fail", error: failureOf(error).toJSON() };
    }
  }

  async #run(request: Task): Promise<Reply> {
    if (request.do === "prepare") return this.#prepare(request);
    if (request.do === "send") {
      if (!this.#options.maySend) throw new ZcError({ code: "AUTH", reason: "it only receives" });
      if (this.#memories === undefined)
        throw new ZcError({ code: "PROTOCOL", reason: "to send was asked for before to prepare" });
      const memories = this.#memories.take(request.streams, request.size);
      return sendStreams(request, memories, eitherSignal(this.#stop.signal, this.#signal));
    }
    using door = await this.#options.openDoor(request);
    await this.#link.send({ did: "listen", addresses: [...door.addresses] } satisfies Reply);
    return await receiveStreams(door, request, this.#stop.signal, this.#signal);
  }

  #prepare(request: PrepareRequest): Reply {
    this.#memories?.[Symbol.dispose]();
    if (request.processor === undefined) bindToAnyProcessor();
    else bindToProcessor(request.processor);
    const machine = describeMachine();
    const sourceBytes = request.sourceBytes ?? sourceBytesFor(machine);
    const { misalign, touch, hugePages } = request;
    this.#memories = new Memories({ sourceBytes, misalign, touch, hugePages });
    return { did: "prepare", machine, sourceBytes };
  }
}

/** Whatever kept a run from its end is told, and ends nothing else. */
function failureOf(error: unknown): ZcError {
  if (error instanceof ZcError) return error;
  const hasErrno = error instanceof Error && "errno" in error;
  const reason = error instanceof Error ? error.message : String(error);
  return hasErrno
    ? new ZcError({ code: "PEER_RESET", operation: "measure", errno: errnoOf(error) })
    : new ZcError({ code: "PEER_RESET", operation: "measure", reason });
}
