/** The state of a device, into it. */
import { ZcError } from "../errors.ts";
import type { MoveEnd } from "../transfer/move.ts";
import type { MigratableDevice, MigrationData } from "./device.ts";
import { type OnRecover, type Recovery, resetAfter } from "./recover.ts";
import { resumeError } from "./refused.ts";
import { assertMigratable } from "./save.ts";
import type { AskedState, DeviceState } from "./states.ts";

export interface ResumeOptions {
  /** Let it run afterwards; else it rests in STOP. */
  readonly run: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Told before the device is touched: what it is in, which will be lost. */
  readonly onStart?: ((state: DeviceState) => void) | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Told of a failure at once, before the device recovers; of one that may leave it running, not. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  readonly onRecover?: OnRecover | undefined;
  /** How the device rests after a failure, which is thrown next. */
  readonly onRecovered?: ((recovery: Recovery) => void) | undefined;
}

export interface Resumed {
  readonly bytes: number;
  readonly seconds: number;
  /** Where it rests. */
  readonly state: AskedState;
}

/**
 * Gives a device the state that comes from the source, to its end, and what it was in before is
 * lost. On a failure the device is reset, unless it is where it was: `onRecovered` tells. Once it has
 * all and is asked to run, no signal ends it. Throws ZcError, PROTOCOL for data that the device
 * refuses, or the signal's reason.
 */
export async function resumeDevice(
  device: MigratableDevice,
  source: MoveEnd,
  options: ResumeOptions,
): Promise<Resumed> {
  const { run, signal, onStart, onFailure, onRecover, onRecovered } = options;
  await assertMigratable(device, signal);
  const before = await device.state(signal);
  onStart?.(before);
  let mayRun = false;
  try {
    if (before === "ERROR" || before === "RESUMING") await resetFirst(device, before, options);
    const begin = performance.now();
    await using data = assertOpened(device, await device.setState("RESUMING", signal));
    const bytes = await giveAll(device, data, source, options);
    mayRun = run;
    if (run) await device.setState("RUNNING");
    return { bytes, seconds: (performance.now() - begin) / 1e3, state: run ? "RUNNING" : "STOP" };
  } catch (error) {
    if (!mayRun) onFailure?.(error);
    const recovery = await resetAfter(device, before, onRecover);
    onRecovered?.(recovery);
    // Its wait was cut short: that is no fault of the device.
    if (mayRun) signal?.throwIfAborted();
    throw error;
  }
}

/** What was begun there cannot go on, and nothing else leaves ERROR. */
async function resetFirst(
  device: MigratableDevice,
  found: DeviceState,
  { signal, onRecover }: ResumeOptions,
): Promise<void> {
  onRecover?.({ found, to: "reset" });
  await device.reset(signal);
}

/** To the end of the source, and of the session. */
async function giveAll(
  device: MigratableDevice,
  data: MigrationData,
  source: MoveEnd,
  { signal, onProgress }: ResumeOptions,
): Promise<number> {
  const { bytes } = await data.moveFrom(source, { signal, onProgress });
  signal?.throwIfAborted();
  await endSession(device, signal);
  signal?.throwIfAborted();
  return bytes;
}

/** Here a device looks at what it was given as a whole. */
async function endSession(
  device: MigratableDevice,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await device.setState("STOP", signal);
  } catch (error) {
    throw resumeError(device.name, error);
  }
}

function assertOpened(device: MigratableDevice, data: MigrationData | undefined): MigrationData {
  if (data !== undefined) return data;
  const reason = "it opened no data session";
  throw new ZcError({ code: "PROTOCOL", operation: "resume", subject: device.name, reason });
}
