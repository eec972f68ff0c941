/** One test, as a server sees it: from the client's cookie to its last word. */
import { timingSafeEqual } from "node:crypto";
import { ZcError } from "../../errors.ts";
import { eitherSignal } from "../../run-job.ts";
import type { Control } from "./control.ts";
import { parseCookie } from "./cookie.ts";
import { measure } from "./measure.ts";
import { parametersFrame } from "./parameters.schema.ts";
import { parseParameters, type TestParameters } from "./parameters.ts";
import { orRefuse, Refusal } from "./refusal.ts";
import { describeBegin, describeEnd } from "./report.ts";
import { encodeResults, parseResults, resultsFrame } from "./results.ts";
import { assertServable } from "./servable.ts";
import type { Iperf3ServerOptions } from "./server.ts";
import { encodeState, type State } from "./states.ts";
import { type Arrival, StreamDoor } from "./stream-door.ts";
import { type Counted, toResults } from "./tally.ts";
import { within } from "./within.ts";

/** iperf3's own limits, where it has them. */
const parametersMsMax = 10_000;
const streamsMsMax = 30_000;
const resultsMsMax = 30_000;
const doneMsMax = 10_000;

export class Session {
  readonly #control: Control<"client">;
  readonly #cookie: Uint8Array;
  readonly #options: Iperf3ServerOptions;
  /** Open from when the client may make data connections. */
  #door: StreamDoor | undefined;
  #isOver = false;

  constructor(control: Control<"client">, cookie: Uint8Array, options: Iperf3ServerOptions) {
    this.#control = control;
    this.#cookie = cookie;
    this.#options = options;
  }

  /** Whether a test with this cookie would be another one, and can begin. */
  makesRoomFor(cookie: Uint8Array): boolean {
    return this.#isOver && !timingSafeEqual(cookie, this.#cookie);
  }

  /** Whether the connection is the test's, which owns it then. */
  take(arrival: Arrival, cookie: Uint8Array): boolean {
    if (this.#isOver || !timingSafeEqual(cookie, this.#cookie)) return false;
    return this.#door?.take(arrival) ?? false;
  }

  /**
   * Resolves when it is over, and the control connection closed. What went wrong is told to the
   * client, before its data connections break, and to `onTest`.
   */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#isOver = true;
      await this.#control.close();
      this.#door?.[Symbol.dispose]();
    }
  }

  async #run(): Promise<void> {
    const { address, signal, onTest } = this.#options;
    const control = this.#control;
    const parameters = await this.#parameters();
    const mode = parameters.zerocopy ? "sendfile" : this.#options.mode;
    onTest?.(describeBegin(control.peer, parameters, mode));
    const open = () => StreamDoor.open(parameters, address);
    const door = await orRefuse("IESTREAMLISTEN", open, ["CONNECT"]);
    this.#door = door;
    await control.say("CREATE_STREAMS", signal);
    const over = new AbortController();
    const either = eitherSignal(over.signal, signal);
    const word = orRefuse("IEMESSAGE", () => control.hear({ signal: either }));
    try {
      await this.#streams(door, word, either);
      const test = { control, parameters, connections: door.connections, mode, signal: either };
      const { counted, state } = await measure(test, word);
      if (state !== "TEST_END") throw this.#left(state);
      door[Symbol.dispose]();
      await this.#exchange(parameters, counted);
    } finally {
      over.abort();
      await word.catch(() => {});
    }
  }

  /** Of a test that can be. */
  async #parameters(): Promise<TestParameters> {
    await orRefuse("IERECVCOOKIE", () => parseCookie(this.#cookie));
    const limit = { ms: parametersMsMax, signal: this.#options.signal };
    await this.#control.say("PARAM_EXCHANGE", limit.signal);
    const parameters = await orRefuse("IERECVPARAMS", async () =>
      parseParameters(await this.#control.receive(parametersFrame, limit)),
    );
    assertServable(parameters);
    return parameters;
  }

  async #streams(
    door: StreamDoor,
    word: Promise<State<"client">>,
    signal: AbortSignal,
  ): Promise<void> {
    const { peer } = this.#control;
    const over = new AbortController();
    const limit = { ms: streamsMsMax, signal: eitherSignal(over.signal, signal) };
    const came = orRefuse("IESTREAMACCEPT", () =>
      within(limit, "the data connections", (limited) => door.all(peer, limited)),
    );
    try {
      const state = await Promise.race([came, word]);
      if (state !== undefined) throw this.#left(state);
    } finally {
      over.abort();
      await came.catch(() => {});
    }
  }

  /** The results; then the client's last word, which need not come. */
  async #exchange(parameters: TestParameters, counted: Counted): Promise<void> {
    const { signal, onTest } = this.#options;
    const control = this.#control;
    await control.say("EXCHANGE_RESULTS", signal);
    const limit = { ms: resultsMsMax, signal };
    await orRefuse("IERECVRESULTS", async () => {
      parseResults(await control.receive(resultsFrame, limit));
    });
    const report = describeEnd(control.peer, counted);
    const output = parameters.getServerOutput ? `${report}\n` : undefined;
    await control.send(encodeResults(toResults(counted, output)), signal);
    this.#isOver = true; // who hears that may be here again before its last word is
    await control.say("DISPLAY_RESULTS", signal);
    onTest?.(report);
    await control.hear({ ms: doneMsMax, signal }).catch(() => {});
  }

  #tell(error: unknown): void {
    const { signal, onTest } = this.#options;
    if (signal.aborted) {
      this.#control.tryToSend(encodeState("SERVER_TERMINATE"));
      return;
    }
    if (!(error instanceof ZcError)) throw error;
    if (error instanceof Refusal) this.#control.tryToSend(error.encode());
    onTest?.(this.#named(error).toLine());
  }

  #named(error: ZcError): ZcError {
    const { peer: subject } = this.#control;
    if (error.subject === subject) return error;
    const { code, message: reason, hint } = error;
    return new ZcError({ code, operation: "test with", subject, reason, hint });
  }

  #left(state: State<"client">): ZcError {
    const reason = state === "CLIENT_TERMINATE" ? "it was stopped" : "it gave up";
    const subject = this.#control.peer;
    return new ZcError({ code: "PEER_RESET", operation: "test with", subject, reason });
  }
}
