/** zc vfio-user info: what a device is. */
import { defineCommand } from "../../command.ts";
import { printable } from "../../errors.ts";
import { alignedLines } from "../../lines.ts";
import { printResult } from "../../print.ts";
import { formatSize } from "../../units.ts";
import { type DeviceReport, inspectDevice } from "../../vfio-user/inspect.ts";
import { jsonOption, serverOptions, withClient } from "./server.ts";

export const command = defineCommand({
  usage: "SOCKET",
  text: "Tell what the device behind SOCKET is: regions, interrupts, migration.",
  options: { ...serverOptions, json: jsonOption },
  examples: ["zc vfio-user info /run/device.sock", "zc vfio-user info --json unix:@device"],
  run: ([server = ""], values) =>
    withClient(server, values, async (client, signal) => {
      const report = await inspectDevice(client, { signal });
      printResult(values.json ? JSON.stringify(report) : reportText(report));
      return 0;
    }),
});

function reportText(report: DeviceReport): string {
  const { capabilities, migration } = report;
  const heads: [string, string][] = [
    ["socket", report.socket],
    ["version", `${report.version}, ${JSON.stringify(capabilities)}`],
    ["twin socket", report.twinSocket ? "yes" : "no"],
    ["device", kindText(report)],
    ["DMA log", report.dmaLogging ? "yes" : "none"],
    ["migration", migration === undefined ? "none" : migrationText(migration)],
  ];
  return [
    ...heads.map(([name, text]) => `${name.padEnd(11)} ${printable(text)}`),
    ...["", ...regionLines(report)],
    ...["", ...interruptLines(report.interrupts)],
  ].join("\n");
}

function kindText({ pci, canReset }: DeviceReport): string {
  const reset = canReset ? "can be reset" : "says nothing of a reset";
  if (pci === undefined) return `not PCI, ${reset}`;
  const id = `${hex(pci.vendor, 4)}:${hex(pci.device, 4)}`;
  return `PCI ${id}, class ${hex(pci.class, 6)}, revision ${hex(pci.revision, 2)}, ${reset}`;
}

function migrationText({ p2p, preCopy, state }: NonNullable<DeviceReport["migration"]>): string {
  const names = ["STOP_COPY", ...(p2p ? ["P2P"] : []), ...(preCopy ? ["PRE_COPY"] : [])];
  return `${names.join(", ")}; it is in ${state}`;
}

function regionLines({ regions }: DeviceReport): string[] {
  const rows = regions.flatMap(({ index, name = "", size, readable, writable, mappable }) => {
    if (size === 0) return [];
    const rights = `${readable ? "r" : "-"}${writable ? "w" : "-"}`;
    const areas = mappable.map((area) => `${hexOf(area.offset)}+${hexOf(area.size)}`).join(" ");
    return [[`${index}`, name, rights, formatSize(Number(size)), areas]];
  });
  return alignedLines([["region", "name", "rights", "size", "mappable"], ...rows], 3);
}

export function interruptLines(interrupts: DeviceReport["interrupts"]): string[] {
  const rows = interrupts.flatMap(({ index, name = "", count, ...can }) => {
    if (count === 0) return [];
    const flags = (["eventfd", "maskable", "automasked"] as const).filter((flag) => can[flag]);
    return [[`${index}`, name, `${count}`, flags.join(" ")]];
  });
  return alignedLines([["interrupt", "name", "count", "can"], ...rows], 2);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

function hexOf(value: number | string): string {
  return typeof value === "string" ? value : `0x${value.toString(16)}`;
}
