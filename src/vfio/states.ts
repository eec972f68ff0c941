/** The states of VFIO's migration protocol, version 2: enum vfio_device_mig_state, linux/vfio.h. */
import { printable, usageError } from "../errors.ts";
import type { MigrationFeatures } from "./device.ts";
import { migrationFlags } from "./feature.ts";

export const deviceStates = [
  "ERROR",
  "STOP",
  "RUNNING",
  "STOP_COPY",
  "RESUMING",
  "RUNNING_P2P",
  "PRE_COPY",
  "PRE_COPY_P2P",
] as const;

/** By its number. */
export type DeviceState = (typeof deviceStates)[number];
/** What a device can be asked for. */
export type AskedState = Exclude<DeviceState, "ERROR">;

const askedStates = deviceStates.filter((state) => state !== "ERROR");

/** Of `migrationFlags`, or'ed together; others are of no concern here. */
export function featuresOf(flags: bigint): MigrationFeatures {
  const has = (flag: bigint) => (flags & flag) !== 0n;
  const { STOP_COPY, P2P, PRE_COPY } = migrationFlags;
  return { stopCopy: has(STOP_COPY), p2p: has(P2P), preCopy: has(PRE_COPY) };
}

/**
 * The arcs of a device that has every feature, and behind each the states that are reached through
 * it: vfio_mig_get_next_state, drivers/vfio/vfio_main.c. What is behind none cannot be reached.
 */
const arcs: Readonly<Record<DeviceState, Partial<Record<DeviceState, readonly DeviceState[]>>>> = {
  ERROR: {},
  STOP: {
    STOP_COPY: ["STOP_COPY"],
    RESUMING: ["RESUMING"],
    RUNNING_P2P: ["RUNNING_P2P", "RUNNING", "PRE_COPY", "PRE_COPY_P2P"],
  },
  RUNNING: {
    PRE_COPY: ["PRE_COPY"],
    RUNNING_P2P: ["RUNNING_P2P", "STOP", "STOP_COPY", "RESUMING", "PRE_COPY_P2P"],
  },
  STOP_COPY: { STOP: ["STOP", "RUNNING", "RUNNING_P2P", "RESUMING"] },
  RESUMING: {
    STOP: ["STOP", "STOP_COPY", "RUNNING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P"],
  },
  RUNNING_P2P: {
    STOP: ["STOP", "STOP_COPY", "RESUMING"],
    RUNNING: ["RUNNING", "PRE_COPY"],
    PRE_COPY_P2P: ["PRE_COPY_P2P"],
  },
  PRE_COPY: {
    RUNNING: ["RUNNING", "RUNNING_P2P", "STOP", "RESUMING"],
    PRE_COPY_P2P: ["PRE_COPY_P2P", "STOP_COPY"],
  },
  PRE_COPY_P2P: {
    PRE_COPY: ["PRE_COPY"],
    STOP_COPY: ["STOP_COPY"],
    RUNNING_P2P: ["RUNNING_P2P", "RUNNING", "STOP", "RESUMING"],
  },
};

/** What a device needs to know the state. */
const needs: Readonly<Record<DeviceState, readonly (keyof MigrationFeatures)[]>> = {
  ERROR: [],
  STOP: ["stopCopy"],
  RUNNING: ["stopCopy"],
  STOP_COPY: ["stopCopy"],
  RESUMING: ["stopCopy"],
  RUNNING_P2P: ["stopCopy", "p2p"],
  PRE_COPY: ["stopCopy", "preCopy"],
  PRE_COPY_P2P: ["stopCopy", "p2p", "preCopy"],
};

/** The states that a device can be asked for; ERROR is never one. */
export function statesOf(features: MigrationFeatures): readonly AskedState[] {
  return askedStates.filter((state) => supports(features, state));
}

/**
 * The states that a device walks through when it is asked for `to`, which is the last of them; none
 * where it is there already. undefined: the kernel refuses with EINVAL.
 */
export function pathBetween(
  from: DeviceState,
  to: DeviceState,
  features: MigrationFeatures,
): readonly DeviceState[] | undefined {
  if (from === "ERROR" || to === "ERROR") return undefined;
  if (!supports(features, from) || !supports(features, to)) return undefined;
  const path: DeviceState[] = [];
  for (let state: DeviceState = from; state !== to; ) {
    const next = supportedNext(state, to, features);
    if (next === undefined) return undefined;
    path.push(next);
    state = next;
  }
  return path;
}

/** The data session that an arc opens: what is read from the device, or written to it. */
export function opensData(from: DeviceState, to: DeviceState): "read" | "write" | undefined {
  if (from === "STOP") return to === "STOP_COPY" ? "read" : to === "RESUMING" ? "write" : undefined;
  const beginsPrecopy =
    (from === "RUNNING" && to === "PRE_COPY") || (from === "RUNNING_P2P" && to === "PRE_COPY_P2P");
  return beginsPrecopy ? "read" : undefined;
}

/** Whether the device runs on while it gives its state. */
export function isPrecopy(state: DeviceState): boolean {
  return state === "PRE_COPY" || state === "PRE_COPY_P2P";
}

/** A state that a device can be asked for: STOP_COPY, stop-copy. Throws USAGE. */
export function parseDeviceState(text: string): AskedState {
  const wanted = text.toUpperCase().replaceAll("-", "_");
  const found = askedStates.find((state) => state === wanted);
  if (found !== undefined) return found;
  if (wanted === "ERROR")
    throw usageError(text, "no device can be asked for it, and only a reset leaves it", "--reset");
  const reason = `a device has no such state, only ${askedStates.join(", ")}`;
  throw usageError(`"${printable(text)}"`, reason);
}

/** "RUNNING → RUNNING_P2P → STOP". */
export function formatPath(from: DeviceState, path: readonly DeviceState[]): string {
  return [from, ...path].join(" → ");
}

function supports(features: MigrationFeatures, state: DeviceState): boolean {
  return needs[state].every((feature) => features[feature]);
}

/** States that the device does not know are passed over. */
function supportedNext(
  from: DeviceState,
  to: DeviceState,
  features: MigrationFeatures,
): DeviceState | undefined {
  let next = nextState(from, to);
  while (next !== undefined && !supports(features, next)) next = nextState(next, to);
  return next;
}

function nextState(from: DeviceState, to: DeviceState): DeviceState | undefined {
  return deviceStates.find((state) => arcs[from][state]?.includes(to));
}
