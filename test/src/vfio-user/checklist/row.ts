/** What a row of the checklist is: facts of libvfio-user's own tests, as far as they are on the wire. */
import { joinBytes } from "../../../../src/vfio/record.ts";
import type { HeaderChange, RawReply } from "./raw-client.ts";
import type { Setup, SetupName } from "./setups.ts";

export interface Step {
  /** The command's number. */
  readonly command: number;
  readonly payload?: Uint8Array;
  /** So many new eventfds with the values that they begin with; `file`: a file of so many bytes. */
  readonly eventFds?: readonly number[];
  readonly file?: number;
  readonly header?: HeaderChange;
  /** An errno's name, the payload of the reply, or anything that is no error. */
  readonly expect: string | Uint8Array | typeof fine;
  /** More that must be so. */
  readonly check?: (reply: RawReply, setup: Setup) => void;
}

export interface Row {
  /** "file.function", as libvfio-user has it in test/py; several rows may be one function's. */
  readonly of: string;
  readonly setup: SetupName;
  /** The client's first message, if it is not the usual one; null: none. */
  readonly version?: Uint8Array | null;
  /** A function gets what all eventfds so far hold, and takes it away. */
  readonly steps: readonly (Step | ((setup: Setup, counts: () => readonly number[]) => unknown))[];
  /** The connection is closed after the last reply. */
  readonly closes?: boolean;
  /** What must be so when the client is gone. */
  readonly after?: (setup: Setup) => void;
  /** Why we answer otherwise than libvfio-user, on purpose. */
  readonly differs?: string;
}

export const fine = Symbol("no error");

export const command = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  info: 4,
  regionInfo: 5,
  regionIoFds: 6,
  irqInfo: 7,
  setIrqs: 8,
  read: 9,
  write: 10,
  reset: 13,
  feature: 16,
  dataRead: 17,
  dataWrite: 18,
} as const;

/** Shorthand of a step. */
export function step(
  number: number,
  payload: Uint8Array | readonly Uint8Array[],
  expect: Step["expect"],
  more: Partial<Step> = {},
): Step {
  const bytes = payload instanceof Uint8Array ? payload : joinBytes(...payload);
  return { command: number, payload: bytes, expect, ...more };
}
