/** The state of a device, out of it: while it runs as far as it can, the rest while it stands still. */
import { ZcError } from "../errors.ts";
import type { MoveEnd } from "../transfer/move.ts";
import type { MigratableDevice, MigrationData, MigrationFeatures } from "./device.ts";
import { type PrecopyResult, precopy } from "./precopy.ts";
import { leave, type OnRecover, type Recovery, unwind } from "./recover.ts";
import type { AskedState, DeviceState } from "./states.ts";

export interface SaveOptions {
  /** Begin with PRE_COPY, where the device has it. */
  readonly preCopy: boolean;
  /** How long the device may stand still, as far as that can be told before; ms. */
  readonly downtimeMs: number;
  /** It is stopped so long after the start, whatever is left; ms. */
  readonly deadlineMs?: number | undefined;
  /** Let it run again afterwards; else it rests in STOP. */
  readonly run: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onStage?: ((stage: SaveStage) => void) | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Told of a failure at once, before the device recovers. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  readonly onRecover?: OnRecover | undefined;
  /** How the device rests after a failure, which is thrown next. */
  readonly onRecovered?: ((recovery: Recovery) => void) | undefined;
}

export type SaveStage =
  | { readonly stage: "pre-copy"; readonly from: DeviceState }
  | {
      readonly stage: "stop-copy";
      readonly from: DeviceState;
      readonly precopy: PrecopyResult | undefined;
      /** Bytes that are to come, and how long they take at the rate so far; where that is known. */
      readonly size: number | undefined;
      readonly estimateMs: number | undefined;
    };

/** Where the bytes go. */
export interface SaveSink {
  readonly end: MoveEnd;
  /** All was given: resolves when the other side has it. Throws where it has not. */
  finish(signal: AbortSignal | undefined): Promise<void>;
}

export interface Saved {
  readonly bytes: number;
  readonly seconds: number;
  readonly preCopyBytes: number;
  readonly stopCopyBytes: number;
  /** From the order to stop until the other side had everything; ms. */
  readonly downtimeMs: number;
  readonly verdict: PrecopyResult["verdict"] | undefined;
  /** Where it rests. */
  readonly state: AskedState;
}

/**
 * Saves a device that runs, or one that is stopped. Success means that the sink has it all; then
 * the device rests in STOP, or runs. On a failure it is as it was before, wherever that is possible:
 * `onRecovered` tells. Throws ZcError, or the signal's reason.
 */
export async function saveDevice(
  device: MigratableDevice,
  sink: SaveSink,
  options: SaveOptions,
): Promise<Saved> {
  return savePrepared(device, await prepareSave(device, options), sink, options);
}

/** What a device can do, and where it begins, and goes back to after a failure. */
export interface Prepared {
  readonly features: MigrationFeatures;
  readonly before: AskedState;
}

/** The first half of saveDevice: whether the device can be saved at all. Throws likewise. */
export async function prepareSave(
  device: MigratableDevice,
  options: SaveOptions,
): Promise<Prepared> {
  const features = await assertMigratable(device, options.signal);
  return { features, before: await startingState(device, options) };
}

/** The rest of saveDevice. Throws likewise. */
export async function savePrepared(
  device: MigratableDevice,
  prepared: Prepared,
  sink: SaveSink,
  options: SaveOptions,
): Promise<Saved> {
  const { onFailure, onRecover, onRecovered } = options;
  const { before } = prepared;
  const saved = await save(device, prepared, sink, options).catch(async (error) => {
    onFailure?.(error);
    const recovery = await unwind(device, before, onRecover);
    onRecovered?.(recovery);
    throw error;
  });
  // From here on it may run elsewhere: whatever fails, it does not run here unless it was asked to.
  const state = options.run ? "RUNNING" : "STOP";
  try {
    await device.setState(state);
  } catch (error) {
    onRecovered?.(await leave(device, "all of its state is saved"));
    throw error;
  }
  return { ...saved, state };
}

/** What it can do. Throws UNSUPPORTED for a device that cannot be migrated. */
export async function assertMigratable(
  device: MigratableDevice,
  signal?: AbortSignal,
): Promise<MigrationFeatures> {
  const features = await device.features(signal);
  if (features.stopCopy) return features;
  throw new ZcError({
    code: "UNSUPPORTED",
    operation: "migrate",
    subject: device.name,
    reason: "its driver has no migration",
    hint: "only a driver that its maker wrote for VFIO has: vfio-pci itself has not",
  });
}

/** Where to begin, and to go back to. A session that somebody left behind is ended. */
async function startingState(
  device: MigratableDevice,
  { signal, onRecover }: SaveOptions,
): Promise<AskedState> {
  const found = await device.state(signal);
  const goTo = async (to: AskedState) => {
    onRecover?.({ found, to });
    await device.setState(to, signal);
    return to;
  };
  switch (found) {
    case "STOP":
    case "RUNNING":
    case "RUNNING_P2P":
      return found;
    case "STOP_COPY":
      return goTo("STOP");
    case "PRE_COPY":
    case "PRE_COPY_P2P":
      return goTo("RUNNING");
    default:
      throw new ZcError({
        code: "DEVICE",
        operation: "save",
        subject: device.name,
        reason: `it is in ${found}, and has no state that is whole`,
        hint: `zc vfio state ${device.name} --reset`,
      });
  }
}

async function save(
  device: MigratableDevice,
  { before, features }: Prepared,
  sink: SaveSink,
  options: SaveOptions,
): Promise<Omit<Saved, "state">> {
  const { signal } = options;
  const begin = performance.now();
  await using session = new Session();
  let early: PrecopyResult | undefined;
  if (before !== "STOP" && features.preCopy && options.preCopy) {
    options.onStage?.({ stage: "pre-copy", from: before });
    const data = session.take(
      device,
      await device.setState(before === "RUNNING_P2P" ? "PRE_COPY_P2P" : "PRE_COPY", signal),
    );
    early = await precopy(data, { ...options, sink: sink.end });
  }
  options.onStage?.(await estimate(device, early, options));
  signal?.throwIfAborted();
  const stopped = performance.now();
  const data = session.take(device, await device.setState("STOP_COPY", signal));
  const preCopyBytes = early?.bytes ?? 0;
  const stopCopyBytes = await moveRest(device, data, sink, preCopyBytes, options);
  await sink.finish(signal);
  const end = performance.now();
  return {
    bytes: preCopyBytes + stopCopyBytes,
    seconds: (end - begin) / 1e3,
    ...{ preCopyBytes, stopCopyBytes, downtimeMs: end - stopped, verdict: early?.verdict },
  };
}

/** STOP_COPY goes on with the data of PRE_COPY; one of the two opens them. */
class Session implements AsyncDisposable {
  #data: MigrationData | undefined;

  take(device: MigratableDevice, opened: MigrationData | undefined): MigrationData {
    this.#data = opened ?? this.#data;
    if (this.#data !== undefined) return this.#data;
    const reason = "it opened no data session";
    throw new ZcError({ code: "PROTOCOL", operation: "save", subject: device.name, reason });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#data?.[Symbol.asyncDispose]();
  }
}

async function moveRest(
  device: MigratableDevice,
  data: MigrationData,
  sink: SaveSink,
  before: number,
  { signal, onProgress }: SaveOptions,
): Promise<number> {
  const { bytes, end } = await data.moveTo(sink.end, {
    signal,
    onProgress: (now) => onProgress?.(before + now),
  });
  if (end === "end") return bytes;
  const reason = "in STOP_COPY it says that it has no more for now: nobody can tell its end";
  throw new ZcError({ code: "PROTOCOL", operation: "save", subject: device.name, reason });
}

async function estimate(
  device: MigratableDevice,
  early: PrecopyResult | undefined,
  { signal }: SaveOptions,
): Promise<SaveStage> {
  const from = await device.state(signal);
  const size = await device.stopCopySize(signal);
  const rate = early?.rate;
  const isKnown = size !== undefined && rate !== undefined;
  const estimateMs = isKnown ? (size * 1000) / rate : undefined;
  return { stage: "stop-copy", from, precopy: early, size, estimateMs };
}
