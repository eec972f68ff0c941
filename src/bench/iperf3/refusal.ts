/** Why a server does not go on with a test: the client gets iperf3's number, the person here a line. */
import { type ErrorCode, type ErrorDetails, ZcError } from "../../errors.ts";
import { encodeServerError, serverErrors } from "./server-error.ts";
import { encodeState } from "./states.ts";

export type RefusalName = keyof typeof serverErrors;

export class Refusal extends ZcError {
  readonly #number: number;

  constructor(name: RefusalName, details: ErrorDetails) {
    super(details);
    this.#number = serverErrors[name].number;
  }

  /** What the client is sent: the state SERVER_ERROR, and what follows it. */
  encode(): Uint8Array {
    const error = encodeServerError({ number: this.#number, errno: this.errno ?? 0 });
    return Buffer.concat([encodeState("SERVER_ERROR"), error]);
  }
}

/** What goes wrong, with one of these codes, is refused as `name`: what the client says, or is late. */
export async function orRefuse<T>(
  name: RefusalName,
  action: () => T | Promise<T>,
  codes: readonly ErrorCode[] = ["PROTOCOL", "TIMEOUT"],
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const isRefused = error instanceof ZcError && codes.includes(error.code);
    throw isRefused ? new Refusal(name, { ...error }) : error;
  }
}
