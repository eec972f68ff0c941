/** Notices that nothing moves any more. */
import { ZcError } from "../errors.ts";

const checksPerLimit = 10;
const checkMsMin = 5;
const checkMsMax = 250;

export interface IdleWatch {
  /** A number that changes as long as something moves. */
  readonly activity: () => number;
  /** How long it may stay the same; undefined: for ever. */
  readonly idleMs: number | undefined;
  readonly peer: string;
  /** Aborted, with the error as its reason. */
  readonly stop: AbortController;
}

/** Returns what ends the watch. */
export function watchIdle({ activity, idleMs, peer, stop }: IdleWatch): Disposable {
  if (idleMs === undefined) return { [Symbol.dispose]: () => {} };
  let last = activity();
  let since = performance.now();
  const check = () => {
    const current = activity();
    const now = performance.now();
    if (current !== last) {
      last = current;
      since = now;
    } else if (now - since >= idleMs) {
      stop.abort(idleError(peer, idleMs));
    }
  };
  const every = Math.min(Math.max(idleMs / checksPerLimit, checkMsMin), checkMsMax);
  const timer = setInterval(check, every);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function idleError(peer: string, idleMs: number): ZcError {
  return new ZcError({
    code: "TIMEOUT",
    operation: "move bytes with",
    subject: peer,
    reason: `nothing moved for ${idleMs} ms`,
    hint: "--timeout says how long that may be",
  });
}
