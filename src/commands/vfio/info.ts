/** zc vfio info: what a device is, and what can be done with its state. */
import { defineCommand } from "../../command.ts";
import { printable } from "../../errors.ts";
import { printResult } from "../../print.ts";
import { formatSize } from "../../units.ts";
import type { DeviceFacts, MigratableDevice, MigrationFeatures } from "../../vfio/device.ts";
import { openDevice } from "../../vfio/open.ts";
import { type DeviceState, formatPath, pathBetween, statesOf } from "../../vfio/states.ts";
import { runJson } from "../run-json.ts";

export const command = defineCommand({
  usage: "DEV",
  text: "Tell what DEV is: its driver, its migration features, its state and the way to every other.",
  options: { json: { flag: "--json", text: "one JSON object" } },
  examples: ["zc vfio info 0000:01:00.1", "zc vfio info --json /dev/vfio/devices/vfio0"],
  run: ([name = ""], { json }) =>
    runJson(json, async (signal) => {
      await using device = await openDevice(name, signal);
      const info = await look(device, signal);
      printResult(json ? JSON.stringify(info) : infoText(info));
      return 0;
    }),
});

interface Migration extends MigrationFeatures {
  readonly state: DeviceState;
  readonly reachable: readonly { state: DeviceState; path: readonly DeviceState[] }[];
  readonly stopCopySize?: number;
}

/** Its schema is vfio/report.schema.ts. */
interface Info {
  readonly device: string;
  readonly driver?: string;
  readonly pci: boolean;
  readonly reset: boolean;
  readonly regions: number;
  readonly irqs: number;
  readonly dmaLogging: boolean;
  readonly migration?: Migration;
}

async function look(device: MigratableDevice, signal: AbortSignal): Promise<Info> {
  const { driver, isPci, canReset, regions, irqs, hasDmaLogging }: DeviceFacts =
    await device.facts(signal);
  const features = await device.features(signal);
  return {
    device: device.name,
    ...(driver !== undefined && { driver }),
    ...{ pci: isPci, reset: canReset, regions, irqs, dmaLogging: hasDmaLogging },
    ...(features.stopCopy && { migration: await lookAtMigration(device, features, signal) }),
  };
}

async function lookAtMigration(
  device: MigratableDevice,
  features: MigrationFeatures,
  signal: AbortSignal,
): Promise<Migration> {
  const state = await device.state(signal);
  const stopCopySize = await device.stopCopySize(signal);
  const reachable = statesOf(features).flatMap((to) => {
    const path = pathBetween(state, to, features) ?? [];
    return path.length === 0 ? [] : [{ state: to, path }];
  });
  return {
    ...features,
    ...{ state, reachable },
    ...(stopCopySize !== undefined && { stopCopySize }),
  };
}

function infoText(info: Info): string {
  const { migration } = info;
  const kind = `${info.pci ? "PCI" : "not PCI"}, ${info.regions} regions, ${info.irqs} interrupts`;
  const lines: [string, string][] = [
    ["device", info.device],
    ["driver", info.driver ?? "unknown"],
    ["kind", `${kind}, ${info.reset ? "can be reset" : "says nothing of a reset"}`],
    ["DMA log", info.dmaLogging ? "yes" : "none"],
    ["migration", migration === undefined ? "none" : featureText(migration)],
    ...(migration === undefined ? [] : migrationLines(migration)),
  ];
  return lines.map(([name, text]) => `${name.padEnd(11)} ${printable(text)}`).join("\n");
}

function featureText({ p2p, preCopy }: MigrationFeatures): string {
  return ["STOP_COPY", ...(p2p ? ["P2P"] : []), ...(preCopy ? ["PRE_COPY"] : [])].join(", ");
}

function migrationLines({ state, reachable, stopCopySize }: Migration): [string, string][] {
  return [
    [
      "stop-copy",
      stopCopySize === undefined ? "it does not tell" : `about ${formatSize(stopCopySize)}`,
    ],
    ["state", state],
    ...reachable.map(({ path }, index): [string, string] => [
      index === 0 ? "ways" : "",
      formatPath(state, path),
    ]),
    ...(state === "ERROR" ? ([["ways", "a reset, to RUNNING"]] as [string, string][]) : []),
  ];
}
