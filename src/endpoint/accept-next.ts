/** Accepting that goes on where this process has, for the moment, no room for more. */
import { constants } from "node:os";
import { ZcError } from "../errors.ts";
import { pause } from "../run-job.ts";
import type { Connection } from "./connection.ts";
import type { Listener } from "./listen.ts";

const pauseMs = 100;
const { EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN } = constants.errno;
const shortages = new Set<number>([EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN]);

/** Throws what is wrong with the listener, or the signal's reason. */
export async function acceptNext(listener: Listener, signal: AbortSignal): Promise<Connection> {
  for (;;) {
    try {
      return await listener.accept({ signal });
    } catch (error) {
      if (!(error instanceof ZcError) || !shortages.has(error.errno ?? 0)) throw error;
      await pause(pauseMs, signal);
    }
  }
}
