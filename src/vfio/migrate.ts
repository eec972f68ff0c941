/** The state of one device into another, while it is read: through a pipe, both ends at once. */
import { closeSync } from "node:fs";
import { library } from "../../ffi/library.ts";
import { ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import type { MoveEnd } from "../transfer/move.ts";
import type { MigratableDevice } from "./device.ts";
import { leave, type OnRecover, type Recovery } from "./recover.ts";
import { resumeDevice } from "./resume.ts";
import {
  assertMigratable,
  prepareSave,
  type Saved,
  type SaveOptions,
  type SaveSink,
  savePrepared,
} from "./save.ts";

/** How the two rest after a failure, which is thrown next. */
export interface Recoveries {
  source?: Recovery;
  destination?: Recovery;
}

export interface MigrateOptions
  extends Pick<
    SaveOptions,
    "preCopy" | "downtimeMs" | "deadlineMs" | "signal" | "onStage" | "onProgress"
  > {
  /** Told before a device is touched after a failure. */
  readonly onRecover?:
    | ((which: keyof Recoveries, plan: Parameters<OnRecover>[0]) => void)
    | undefined;
  readonly onRecovered?: ((recoveries: Recoveries) => void) | undefined;
}

/** `downtimeMs`: from the order to the source to stop, until the destination runs. */
export type Migrated = Omit<Saved, "state">;

/**
 * Both must be of the same kind. In the end the destination runs, and the source rests in STOP. On a
 * failure the source runs again, and the destination is reset; a failure of the source once the
 * destination runs leaves both as they are: `onRecovered` tells. Neither waits for the other's
 * recovery, unless both might run then. Throws what saveDevice and resumeDevice do.
 */
export async function migrateDevice(
  source: MigratableDevice,
  destination: MigratableDevice,
  options: MigrateOptions,
): Promise<Migrated> {
  const { onRecover, onRecovered } = options;
  const recoveries: Recoveries = {};
  const stop = new AbortController();
  const signal = eitherSignal(stop.signal, options.signal);
  // Whoever fails first ends the other, and is to blame.
  const onFailure = (error: unknown) => stop.abort(error);
  const saving: SaveOptions = {
    ...{ ...options, run: false, signal, onFailure },
    onRecover: (plan) => onRecover?.("source", plan),
    onRecovered: (recovery) => {
      recoveries.source = recovery;
    },
  };
  // A destination loses what it holds: before it is touched there must be something to give it.
  await assertMigratable(destination, signal);
  const prepared = await prepareSave(source, saving);
  using pipe = new Pipe(source.name, destination.name);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const resuming = resumeDevice(destination, pipe.readEnd, {
    ...{ run: true, signal },
    onFailure: (error) => {
      onFailure(error);
      failed.reject(error);
    },
    onRecover: (plan) => onRecover?.("destination", plan),
    onRecovered: (recovery) => {
      recoveries.destination = recovery;
    },
  });
  resuming.catch(onFailure);
  const sink: SaveSink = {
    end: pipe.writeEnd,
    finish: async () => {
      pipe.endWriting();
      await Promise.race([resuming, failed.promise]);
    },
  };
  try {
    const { state: _, ...migrated } = await savePrepared(source, prepared, sink, saving);
    return migrated;
  } catch (error) {
    const isMoved = await resuming.then(
      () => true,
      () => false,
    );
    if (isMoved) recoveries.destination = await leave(destination, "it has everything, and runs");
    onRecovered?.(recoveries);
    throw error;
  }
}

class Pipe implements Disposable {
  readonly readEnd: MoveEnd;
  readonly writeEnd: MoveEnd;
  #isWriting = true;

  /** The names are those of the devices at its ends, for messages. */
  constructor(from: string, to: string) {
    const fds = new Int32Array(2);
    const result = library().zc_pipe_open(fds);
    if (result < 0)
      throw new ZcError({ code: "UNSUPPORTED", operation: "open a pipe", errno: -result });
    const [readFd = -1, writeFd = -1] = fds;
    this.readEnd = { fd: readFd, name: from, isSocket: false };
    this.writeEnd = { fd: writeFd, name: to, isSocket: false };
  }

  /** Who reads comes to the end. */
  endWriting(): void {
    if (this.#isWriting) closeSync(this.writeEnd.fd);
    this.#isWriting = false;
  }

  [Symbol.dispose](): void {
    this.endWriting();
    closeSync(this.readEnd.fd);
  }
}
