/**
 * States of an iperf3 test, each a byte on the control connection (src/iperf_api.h of
 * https://github.com/esnet/iperf). Only the side that is named sends it.
 */
import { malformed } from "./malformed.ts";

export const states = {
  TEST_START: { byte: 1, by: "server" },
  TEST_RUNNING: { byte: 2, by: "server" },
  TEST_END: { byte: 4, by: "client" },
  PARAM_EXCHANGE: { byte: 9, by: "server" },
  CREATE_STREAMS: { byte: 10, by: "server" },
  SERVER_TERMINATE: { byte: 11, by: "server" },
  CLIENT_TERMINATE: { byte: 12, by: "client" },
  EXCHANGE_RESULTS: { byte: 13, by: "server" },
  DISPLAY_RESULTS: { byte: 14, by: "server" },
  /** Also from a client that gives up: it says nothing else. */
  IPERF_DONE: { byte: 16, by: "client" },
  /** -1: another test is running. */
  ACCESS_DENIED: { byte: 0xff, by: "server" },
  /** -2: a server error follows. */
  SERVER_ERROR: { byte: 0xfe, by: "server" },
} as const;

type States = typeof states;
export type Side = "client" | "server";
export type State<S extends Side = Side> = {
  [K in keyof States]: States[K]["by"] extends S ? K : never;
}[keyof States];

export function encodeState(state: State): Uint8Array {
  return Uint8Array.of(states[state].byte);
}

/** `by`: the side that the byte came from. Throws PROTOCOL. */
export function parseState<S extends Side>(byte: number, by: S): State<S> {
  const known = (Object.keys(states) as State[]).filter((state) => states[state].by === by);
  const found = known.find((state) => states[state].byte === byte);
  if (found === undefined) throw malformed("state", `one of a ${by}'s`, `byte ${byte}`);
  return found as State<S>;
}
