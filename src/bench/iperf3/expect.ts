/** The server's states, as a client expects them: anything else ends the test, and is an error. */
import { ZcError } from "../../errors.ts";
import { eitherSignal } from "../../run-job.ts";
import type { Control } from "./control.ts";
import { orWord } from "./flow.ts";
import { malformed } from "./malformed.ts";
import {
  describeServerError,
  parseServerError,
  serverErrorSize,
  serverErrors,
} from "./server-error.ts";
import type { State } from "./states.ts";
import type { Limit } from "./within.ts";

type ServerState = State<"server">;

const errorMsMax = 1000;

/** Throws why the server does not go on. */
export async function expectState(
  control: Control<"server">,
  expected: ServerState,
  limit: Limit,
): Promise<void> {
  const state = await control.hear(limit);
  if (state !== expected) throw await refusalOf(control, state, limit.signal);
}

/** What `action` comes to while the server says nothing; what it says is the error. */
export async function whileSilent<T>(
  control: Control<"server">,
  signal: AbortSignal | undefined,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const either = eitherSignal(over.signal, signal);
  const word = control.hear({ signal: either }).then(async (state) => {
    throw await refusalOf(control, state, either);
  });
  try {
    return await orWord(action(either), word, signal);
  } finally {
    over.abort();
    await word.catch(() => {});
  }
}

async function refusalOf(
  control: Control<"server">,
  state: ServerState,
  signal: AbortSignal | undefined,
): Promise<ZcError> {
  const from = { operation: "test with", subject: control.peer } as const;
  if (state === "ACCESS_DENIED")
    return new ZcError({ ...from, code: "CONNECT", reason: "it is busy with another test" });
  if (state === "SERVER_TERMINATE")
    return new ZcError({ ...from, code: "PEER_RESET", reason: "it was stopped" });
  if (state !== "SERVER_ERROR") return malformed("state", "the next of a test", state);
  const words = await control.rest(serverErrorSize, { ms: errorMsMax, signal });
  const error = parseServerError(words);
  const isAuth = error.number === serverErrors.IEAUTHTEST.number;
  const code = isAuth ? "AUTH" : "UNSUPPORTED";
  return new ZcError({ ...from, code, reason: describeServerError(error) });
}
