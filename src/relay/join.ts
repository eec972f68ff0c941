/** Joins two connections: what one sends goes to the other, both ways, through pipes: splice(2). */
import { constants } from "node:os";
import { type JobStats, startJob } from "../../ffi/job.ts";
import { library } from "../../ffi/library.ts";
import { relaySide, relayStruct } from "../../ffi/structs.ts";
import type { Connection } from "../endpoint/connection.ts";
import { sendAtOnce } from "../endpoint/socket.ts";
import { ZcError } from "../errors.ts";
import { eitherSignal, finished, started } from "../run-job.ts";
import { watchIdle } from "../transfer/idle.ts";
import { refusals } from "../transfer/refusals.ts";
import { type Flows, SharedFlows } from "./flows.ts";
import { type TeeOptions, Tees } from "./tees.ts";

export interface JoinOptions {
  /** Give up when nothing has moved, in either direction, for so long. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly tee?: TeeOptions | undefined;
  /** Called when bytes start to move; what it is given can be looked at, then and ever after. */
  readonly onStart?: ((live: LiveJoin) => void) | undefined;
}

export interface LiveJoin {
  readonly flows: Flows;
}

/** Bytes that go at once, at most, and that each pipe holds. */
const pipeSize = 1 << 20;
const { ETIMEDOUT } = constants.errno;

/**
 * Takes both over, and resolves when both have ended their sides and acknowledged every byte. Each
 * end is passed on as an end. On any failure both are reset, so that neither takes a part for the
 * whole. Forth is from near to far. Throws PEER_RESET or TIMEOUT.
 */
export async function join(
  near: Connection,
  far: Connection,
  { timeoutMs, signal, tee, onStart }: JoinOptions = {},
): Promise<Flows> {
  using _near = near;
  using _far = far;
  using tees = new Tees(tee);
  sendAtOnce(near);
  sendAtOnce(far);
  const shared = new SharedFlows();
  const settings = {
    ...{ near: near.fd, far: far.fd, pipe_size: pipeSize },
    ...{ tee_forth: tees.fd("forth"), tee_back: tees.fd("back"), flows: shared.address },
  };
  const job = started(
    startJob(library().zc_relay_start, relayStruct, settings, () => tees.closeEnded(shared)),
    "start a relay",
  );
  onStart?.(shared);
  const stop = new AbortController();
  const activity = () => job.stats.bytes - job.stats.pending;
  const peer = `${near.peer} and ${far.peer}`;
  using _idle = watchIdle({ activity, idleMs: timeoutMs, peer, stop });
  const stats = await finished(job, eitherSignal(stop.signal, signal));
  if (stats.error !== 0) throw joinError(near, far, stats);
  near.close();
  far.close();
  return shared.flows;
}

function joinError(near: Connection, far: Connection, { side, error, bytes }: JobStats): ZcError {
  if (side === 0) {
    const hint = "ulimit -n raises how many descriptors there may be";
    return new ZcError({ code: "UNSUPPORTED", operation: "open a pipe", errno: error, hint });
  }
  const subject = side === relaySide.near ? near.peer : far.peer;
  if (bytes === 0 && refusals.has(error))
    return new ZcError({ code: "UNSUPPORTED", operation: "splice with", subject, errno: error });
  const code = error === ETIMEDOUT ? "TIMEOUT" : "PEER_RESET";
  return new ZcError({ code, operation: "move bytes with", subject, errno: error });
}
