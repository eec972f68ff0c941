/** zc vfio state: shows a device's state, or changes it. */
import { defineCommand, type OptionValues } from "../../command.ts";
import { usageError, ZcError } from "../../errors.ts";
import { printNote, printResult } from "../../print.ts";
import type { MigratableDevice } from "../../vfio/device.ts";
import { openDevice } from "../../vfio/open.ts";
import { assertMigratable } from "../../vfio/save.ts";
import {
  type AskedState,
  type DeviceState,
  formatPath,
  parseDeviceState,
  pathBetween,
} from "../../vfio/states.ts";
import { runJson } from "../run-json.ts";

const options = {
  reset: { flag: "--reset", text: "reset it, to RUNNING: the only way out of ERROR" },
  json: { flag: "--json", text: "one JSON object" },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors and what was asked for" },
} as const;

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  usage: "DEV [STATE]",
  text: [
    "Show the state of DEV, or change it to STATE, by the path that is told before.",
    "No driver keeps a data session (STOP_COPY, RESUMING, PRE_COPY) beyond this command, and most",
    "reset a device whose last user has gone: what was set may not outlive this command.",
  ].join("\n"),
  options,
  examples: [
    "zc vfio state 0000:01:00.1",
    "zc vfio state 0000:01:00.1 STOP",
    "zc vfio state 0000:01:00.1 --reset",
  ],
  run: ([name = "", text], values) => {
    const to = text === undefined ? undefined : parseDeviceState(text);
    if (to !== undefined && values.reset)
      throw usageError("--reset", "it leads to RUNNING, from where a second command goes on");
    return runJson(values.json, async (signal) => {
      await using device = await openDevice(name, signal);
      const before = await device.state(signal);
      const path = await change(device, before, to, values, signal);
      const state = path === undefined && !values.reset ? before : await device.state();
      printResult(
        values.json ? JSON.stringify(stateJson(device, before, state, path, values)) : state,
      );
      return 0;
    });
  },
});

/** Returns the path that it took; undefined where it was not asked for a state. */
async function change(
  device: MigratableDevice,
  before: DeviceState,
  to: AskedState | undefined,
  { reset, quiet }: Values,
  signal: AbortSignal,
): Promise<readonly DeviceState[] | undefined> {
  if (reset) {
    if (!quiet) printNote(`zc: resetting it, from ${before}: what it holds is lost`);
    await device.reset(signal);
  }
  if (to === undefined) return undefined;
  const path = pathBetween(before, to, await assertMigratable(device, signal));
  if (path === undefined) throw noPath(device, before, to);
  if (path.length === 0) return path;
  if (!quiet) printNote(`zc: ${formatPath(before, path)}`);
  await using _data = await device.setState(to, signal);
  return path;
}

function noPath({ name }: MigratableDevice, from: DeviceState, to: DeviceState): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "change",
    subject: name,
    reason: `no path leads it from ${from} to ${to}`,
    hint: from === "ERROR" ? "--reset" : `zc vfio info ${name}`,
  });
}

function stateJson(
  device: MigratableDevice,
  before: DeviceState,
  state: DeviceState,
  path: readonly DeviceState[] | undefined,
  { reset }: Values,
): object {
  return { device: device.name, before, state, ...(path !== undefined && { path }), reset };
}
