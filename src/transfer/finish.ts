/** The sender's end: every byte acknowledged, and the peer's close seen where it comes. */
import { startJob } from "../../ffi/job.ts";
import { library } from "../../ffi/library.ts";
import { finishStruct, jobEnd } from "../../ffi/structs.ts";
import type { Connection } from "../endpoint/connection.ts";
import { ZcError } from "../errors.ts";
import { eitherSignal, finished, started } from "../run-job.ts";
import { watchIdle } from "./idle.ts";

/** How long a receiver that has every byte may take to close its side, before we stop waiting. */
const lingerMs = 1000;

export interface Finished {
  readonly end: "closed" | "acknowledged";
  /** Bytes that came back from the receiver, thrown away. */
  readonly discarded: number;
}

/** Half-closes a connected stream, and waits. Throws PEER_RESET, or TIMEOUT. */
export async function finish(
  connection: Connection,
  {
    timeoutMs: idleMs,
    signal,
  }: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
): Promise<Finished> {
  const job = started(
    startJob(library().zc_finish_start, finishStruct, {
      fd: connection.fd,
      linger_ms: lingerMs,
    }),
    "finish",
  );
  const stop = new AbortController();
  const activity = () => job.stats.pending + job.stats.discarded;
  using _idle = watchIdle({ activity, idleMs, peer: connection.peer, stop });
  const either = eitherSignal(stop.signal, signal);
  const { error, end, discarded } = await finished(job, either);
  if (error === 0) return { end: end === jobEnd.closed ? "closed" : "acknowledged", discarded };
  throw new ZcError({
    code: "PEER_RESET",
    operation: "send to",
    subject: connection.peer,
    errno: error,
    hint: "it ended before it had taken every byte",
  });
}
