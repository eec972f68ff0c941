/** The state of one device into another, while it is read: through a pipe, both ends at once. */
import { closeSync } from "node:fs";
import { library } from "../../ffi/library.ts";
import { ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import type { MoveEnd } from "../transfer/move.ts";
import type { MigratableDevice } from "./device.ts";
import type { OnRecover, Recovery } from "./recover.ts";
import { resumeDevice } from "./resume.ts";
import { type Saved, type SaveOptions, type SaveSink, saveDevice } from "./save.ts";

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
 * failure the source runs again, and the destination is reset: `onRecovered` tells. Throws what
 * saveDevice and resumeDevice do.
 */
export async function migrateDevice(
  source: MigratableDevice,
  destination: MigratableDevice,
  options: MigrateOptions,
): Promise<Migrated> {
  const { onRecover, onRecovered } = options;
  const recoveries: Recoveries = {};
  using pipe = new Pipe(source.name, destination.name);
  const stop = new AbortController();
  const signal = eitherSignal(stop.signal, options.signal);
  const resuming = resumeDevice(destination, pipe.readEnd, {
    ...{ run: true, signal },
    onRecover: (plan) => onRecover?.("destination", plan),
    onRecovered: (recovery) => {
      recoveries.destination = recovery;
    },
  });
  // Whoever fails first ends the other, and is to blame.
  resuming.catch((error) => stop.abort(error));
  const sink: SaveSink = {
    end: pipe.writeEnd,
    finish: async () => {
      pipe.endWriting();
      await resuming;
    },
  };
  const saved = saveDevice(source, sink, {
    ...{ ...options, run: false, signal },
    onRecover: (plan) => onRecover?.("source", plan),
    onRecovered: (recovery) => {
      recoveries.source = recovery;
    },
  });
  try {
    const { state: _, ...migrated } = await saved;
    return migrated;
  } catch (error) {
    stop.abort(error);
    await resuming.catch(() => {});
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
