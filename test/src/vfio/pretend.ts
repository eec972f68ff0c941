/**
 * A device in this process, for what no device of the kernel's does on demand: it fails where it is
 * told to, falls into ERROR, or has bytes that never become less. It goes as pathBetween says.
 */
import { readSync, writeSync } from "node:fs";
import { ZcError } from "../../../src/errors.ts";
import type { MoveEnd } from "../../../src/transfer/move.ts";
import type {
  DataMoved,
  DataOptions,
  MigratableDevice,
  MigrationData,
  PrecopyInfo,
} from "../../../src/vfio/device.ts";
import {
  type DeviceState,
  featuresOf,
  isPrecopy,
  opensData,
  pathBetween,
} from "../../../src/vfio/states.ts";

const EIO = 5;
const EINVAL = 22;

export interface PretendOptions {
  readonly flags?: number;
  readonly state?: DeviceState;
  /** What it gives in PRE_COPY, a portion a move, and in STOP_COPY. */
  readonly early?: readonly string[];
  readonly late?: string;
  /** Told in PRE_COPY, one after another, the last one for ever. */
  readonly infos?: readonly PrecopyInfo[];
  /** A change into it fails: with EIO, and it stays where it was, or is in ERROR. */
  readonly failsInto?: DeviceState;
  readonly breaks?: boolean;
  /** The only state that it takes. */
  readonly takes?: string;
}

export class PretendDevice implements MigratableDevice {
  readonly name = "pretended";
  /** Every state that it was in, "reset", "move" and "close" of data, in order. */
  readonly happened: string[] = [];
  readonly #options: PretendOptions;
  #state: DeviceState;
  #moves = 0;
  #asked = 0;
  #given = "";

  constructor(options: PretendOptions = {}) {
    this.#options = options;
    this.#state = options.state ?? "RUNNING";
  }

  async facts() {
    return {
      ...{ driver: undefined, isPci: false, canReset: true },
      ...{ regions: 0, irqs: 0, hasDmaLogging: false },
    };
  }

  async features() {
    return featuresOf(BigInt(this.#options.flags ?? 7));
  }

  async state() {
    return this.#state;
  }

  async setState(to: DeviceState): Promise<MigrationData | undefined> {
    const path = pathBetween(this.#state, to, await this.features());
    if (path === undefined) throw this.#refused(EINVAL);
    let opened: string | undefined;
    for (const next of path) {
      if (next === this.#options.failsInto) {
        if (this.#options.breaks) this.#enter("ERROR");
        throw this.#refused(EIO);
      }
      if (this.#state === "RESUMING" && this.#given !== (this.#options.takes ?? this.#given))
        throw this.#refused(EINVAL);
      opened = opensData(this.#state, next);
      this.#enter(next);
    }
    return opened === undefined ? undefined : this.#data();
  }

  async stopCopySize() {
    return this.#options.late?.length;
  }

  async reset() {
    this.happened.push("reset");
    this.#enter("RUNNING");
  }

  async startDmaLogging() {}
  async stopDmaLogging() {}
  async takeDmaLog() {
    return [];
  }
  async [Symbol.asyncDispose]() {}

  #enter(state: DeviceState): void {
    this.#state = state;
    this.happened.push(state);
  }

  #refused(errno: number): ZcError {
    return new ZcError({ code: "DEVICE", operation: "change", subject: this.name, errno });
  }

  #data(): MigrationData {
    return {
      precopyInfo: async () => {
        const { infos } = this.#options;
        return infos?.[Math.min(this.#asked++, infos.length - 1)];
      },
      moveTo: async (sink, options) => this.#moveTo(sink, options),
      moveFrom: async (source) => {
        this.#given = readAll(source.fd);
        return { bytes: this.#given.length, end: "end" };
      },
      [Symbol.asyncDispose]: async () => {
        this.happened.push("close");
      },
    };
  }

  #moveTo(sink: MoveEnd, options: DataOptions | undefined): DataMoved {
    options?.signal?.throwIfAborted();
    this.happened.push("move");
    const { early = [], late = "" } = this.#options;
    const isEarly = isPrecopy(this.#state);
    const text = isEarly ? (early[this.#moves++] ?? "") : late;
    try {
      writeSync(sink.fd, text);
    } catch {
      throw new ZcError({ code: "WRITE_SINK", operation: "write", subject: sink.name, errno: EIO });
    }
    return { bytes: text.length, end: isEarly ? "paused" : "end" };
  }
}

function readAll(fd: number): string {
  const bytes = Buffer.alloc(1024);
  return bytes.toString("latin1", 0, readSync(fd, bytes));
}
