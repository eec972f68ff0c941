/** The middle of a test, as a server sees it: bytes move until the client says that it is over. */
import type { Connection } from "../../endpoint/connection.ts";
import { ZcError } from "../../errors.ts";
import { eitherSignal, pause } from "../../run-job.ts";
import type { SendMode } from "../../transfer/plan.ts";
import { bindToAnyProcessor, bindToProcessor } from "../processor.ts";
import type { Control } from "./control.ts";
import { Flows, orWord, stalled } from "./flow.ts";
import type { TestParameters } from "./parameters.ts";
import { orRefuse, Refusal } from "./refusal.ts";
import { startsOf } from "./server-flows.ts";
import type { State } from "./states.ts";
import { type Counted, Tally } from "./tally.ts";

export interface ServedTest {
  readonly control: Control<"client">;
  readonly parameters: TestParameters;
  readonly connections: readonly Connection[];
  /** How we send. */
  readonly mode: SendMode;
  readonly signal: AbortSignal;
}

/** iperf3's. */
const stallMsMax = 120_000;
/** How much longer than it should a test may take, and how long one without a time. */
const graceSeconds = 40;
const secondsMax = 86_400;

/** Resolves with what was counted until `word`, the client's next state. Throws Refusal. */
export async function measure(
  test: ServedTest,
  word: Promise<State<"client">>,
): Promise<{ counted: Counted; state: State<"client"> }> {
  const { control, parameters } = test;
  using stack = new DisposableStack();
  stack.use(boundTo(parameters));
  const starts = startsOf(test, stack);
  const over = new AbortController();
  const signal = eitherSignal(over.signal, test.signal);
  await control.say("TEST_START", signal);
  await control.say("TEST_RUNNING", signal);
  const flows = new Flows(starts, signal);
  const tally = new Tally(flows);
  try {
    void restartAfterOmitted(tally, parameters, signal);
    const trouble = Promise.race([
      broken(flows, parameters),
      orRefuse("IENOMSG", () => stalled(flows, stallMsMax, signal)),
      expired(parameters, signal),
    ]);
    const state = await orWord(trouble, word, signal);
    await flows.stop();
    return { counted: tally.take(), state };
  } finally {
    over.abort();
    await flows.stop();
  }
}

/** As long as the test runs, where the client asks for a processor. */
function boundTo({ serverProcessor }: TestParameters): Disposable {
  if (serverProcessor === undefined) return { [Symbol.dispose]: () => {} };
  try {
    bindToProcessor(serverProcessor);
  } catch (error) {
    throw error instanceof ZcError ? new Refusal("IEAFFINITY", { ...error }) : error;
  }
  return { [Symbol.dispose]: bindToAnyProcessor };
}

async function restartAfterOmitted(
  tally: Tally,
  { omitSeconds }: TestParameters,
  signal: AbortSignal,
): Promise<void> {
  if (omitSeconds === 0) return;
  const isOver = await pause(omitSeconds * 1e3, signal).then(
    () => true,
    () => false,
  );
  if (isOver) tally.restart();
}

/** A stream that ends is not the end of the test. */
async function broken(flows: Flows, { direction }: TestParameters): Promise<never> {
  try {
    await flows.ended;
  } catch (error) {
    const name = direction === "forward" ? "IESTREAMREAD" : "IESTREAMWRITE";
    throw error instanceof ZcError ? new Refusal(name, { ...error }) : error;
  }
  return new Promise(() => {});
}

async function expired(
  { omitSeconds, seconds }: TestParameters,
  signal: AbortSignal,
): Promise<never> {
  const limit = omitSeconds + (seconds || secondsMax) + graceSeconds;
  await pause(limit * 1e3, signal);
  const reason = `it did not end within ${limit} s`;
  throw new Refusal("IESERVERTESTDURATIONEXPIRED", { code: "TIMEOUT", reason });
}
