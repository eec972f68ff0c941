/** The data of a device's state: a descriptor that C reads from, or writes to. */
import { close } from "node:fs";
import { constants as osConstants } from "node:os";
import { ZcError } from "../../errors.ts";
import { Move, type MoveEnd, type MoveOptions } from "../../transfer/move.ts";
import { plan } from "../../transfer/plan.ts";
import type {
  DataMoved,
  DataOptions,
  MigratableDevice,
  MigrationData,
  PrecopyInfo,
} from "../device.ts";
import { resumeError } from "../refused.ts";
import { isPrecopy } from "../states.ts";
import { call } from "./call.ts";
import { precopyInfoRecord, request } from "./uapi.ts";

const { EINVAL, ENOMSG, ENOTTY } = osConstants.errno;

/** No driver lets splice(2) or sendfile(2) have it. */
const copyPlan = plan({ direction: "send", family: "tcp", local: "device" }, "copy");
const progressEveryMs = 100;

export class KernelData implements MigrationData {
  readonly #fd: number;
  readonly #device: Pick<MigratableDevice, "name" | "state">;

  /** Takes over the descriptor. */
  constructor(fd: number, device: Pick<MigratableDevice, "name" | "state">) {
    this.#fd = fd;
    this.#device = device;
  }

  async precopyInfo(): Promise<PrecopyInfo | undefined> {
    const value = precopyInfoRecord.encode({ argsz: precopyInfoRecord.size });
    const result = await call(this.#fd, request.precopyInfo, value);
    if (result === -ENOTTY || result === -EINVAL) return undefined;
    if (result < 0) {
      const what = { code: "DEVICE", operation: "ask what is left of" } as const;
      throw new ZcError({ ...what, subject: this.#device.name, errno: -result });
    }
    const { initialBytes, dirtyBytes } = precopyInfoRecord.decode(value);
    return { initialBytes: Number(initialBytes), dirtyBytes: Number(dirtyBytes) };
  }

  async moveTo(sink: MoveEnd, options: DataOptions = {}): Promise<DataMoved> {
    const move = this.#move({ source: this.#end, sink, watchSink: sink.isSocket }, options);
    try {
      const { end, counters } = await watched(move, options);
      if (end === "limit") return { bytes: counters.bytes, end };
      // Some drivers say ENOMSG while there is no more for now, some what they say at the end.
      const isPaused = isPrecopy(await this.#device.state());
      return { bytes: counters.bytes, end: isPaused ? "paused" : "end" };
    } catch (error) {
      if (!(error instanceof ZcError) || error.errno !== ENOMSG) throw error;
      return { bytes: move.counters.bytes, end: "paused" };
    }
  }

  async moveFrom(source: MoveEnd, options: DataOptions = {}): Promise<DataMoved> {
    const move = this.#move({ source, sink: this.#end }, options);
    try {
      const { end, counters } = await watched(move, options);
      return { bytes: counters.bytes, end: end === "limit" ? "limit" : "end" };
    } catch (error) {
      throw resumeError(this.#device.name, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => close(this.#fd, () => resolve()));
  }

  get #end(): MoveEnd {
    return { fd: this.#fd, name: this.#device.name, isSocket: false };
  }

  #move(
    ends: Pick<MoveOptions, "source" | "sink" | "watchSink">,
    { limit, signal }: DataOptions,
  ): Move {
    return new Move({ ...ends, plan: copyPlan, limit, signal });
  }
}

async function watched(move: Move, { onProgress }: DataOptions) {
  const tell = () => onProgress?.(move.counters.bytes);
  const timer = setInterval(tell, progressEveryMs);
  try {
    return await move.run();
  } finally {
    clearInterval(timer);
    tell();
  }
}
