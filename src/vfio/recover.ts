/** A device that was on its way when something failed: to where it does no harm. */
import { ZcError } from "../errors.ts";
import type { MigratableDevice } from "./device.ts";
import type { AskedState, DeviceState } from "./states.ts";

export interface Recovery {
  /** Where the failure found it, and where it rests now; undefined: it does not say. */
  readonly found: DeviceState | undefined;
  readonly state: DeviceState | undefined;
  /** "unwound": it went back, and lost nothing. "reset": what it held is lost. "left": neither. */
  readonly action: "unwound" | "reset" | "left";
  /** Why it was left, or had to be reset. */
  readonly reason?: string | undefined;
}

/** Told before the device is touched: of a state that it shall go to, or of a reset. */
export type OnRecover = (plan: {
  readonly found: DeviceState;
  readonly to: AskedState | "reset";
}) => void;

/** To `to`, or by a reset to RUNNING where there is no other way. Never throws. */
export async function unwind(
  device: MigratableDevice,
  to: AskedState,
  onRecover?: OnRecover,
): Promise<Recovery> {
  const found = await stateOrNone(device);
  if (found === undefined) return untold;
  if (found === to) return { found, state: found, action: "unwound" };
  if (found === "ERROR") return await reset(device, found, onRecover);
  try {
    onRecover?.({ found, to });
    await device.setState(to);
    return { found, state: to, action: "unwound" };
  } catch (error) {
    const now = await stateOrNone(device);
    if (now === "ERROR") return await reset(device, found, onRecover);
    return { found, state: now, action: "left", reason: reasonOf(error) };
  }
}

/** By a reset to RUNNING, unless nothing has begun: what it was given is of no use. Never throws. */
export async function resetAfter(
  device: MigratableDevice,
  before: DeviceState,
  onRecover?: OnRecover,
): Promise<Recovery> {
  const found = await stateOrNone(device);
  if (found === undefined) return untold;
  const hasBegun = found !== before || found === "RESUMING" || found === "ERROR";
  return hasBegun
    ? await reset(device, found, onRecover)
    : { found, state: found, action: "unwound" };
}

/** Where it is. Never throws. */
export async function leave(device: MigratableDevice, reason: string): Promise<Recovery> {
  const state = await stateOrNone(device);
  return { found: state, state, action: "left", reason };
}

async function reset(
  device: MigratableDevice,
  found: DeviceState,
  onRecover: OnRecover | undefined,
): Promise<Recovery> {
  try {
    onRecover?.({ found, to: "reset" });
    await device.reset();
    return { found, state: await stateOrNone(device), action: "reset" };
  } catch (error) {
    return { found, state: await stateOrNone(device), action: "left", reason: reasonOf(error) };
  }
}

const untold: Recovery = { found: undefined, state: undefined, action: "left" };

async function stateOrNone(device: MigratableDevice): Promise<DeviceState | undefined> {
  try {
    return await device.state();
  } catch (error) {
    if (error instanceof ZcError) return undefined;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof ZcError) return error.message;
  throw error;
}
