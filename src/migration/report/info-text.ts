/** What is in a stream, for people. Pure. */
import { printable } from "../../errors.ts";
import { alignedLines } from "../../lines.ts";
import { formatCount, formatCounted, formatShare, formatSize } from "../../units.ts";
import { pagesIn, type RamCounts } from "../ram/ram.ts";
import type { StreamInfo } from "./info.schema.ts";

const blocksShown = 20;
const roundsShown = 12;
const sectionsShown = 10;

export function infoText(info: StreamInfo): string {
  return [
    ...titleLines(info),
    "",
    ...ramLines(info),
    "",
    ...sectionLines(info),
    ...endLines(info),
  ].join("\n");
}

function titleLines({ machine, version, bytes, capabilities, uuid, libvirt, footers }: StreamInfo) {
  const name = machine === undefined ? "no machine named" : printable(machine);
  return [
    `QEMU migration stream, version ${version}: ${name}, ${formatSize(bytes)}`,
    ...(libvirt
      ? [
          `libvirt's header in front: the guest ${libvirt.wasRunning ? "was running" : "was paused"}${libvirt.complete ? "" : ", not finished"}`,
        ]
      : []),
    ...(capabilities.length > 0 ? [`capabilities: ${printable(capabilities.join(", "))}`] : []),
    ...(uuid === undefined ? [] : [`uuid: ${uuid}`]),
    ...(footers === false ? ["sections have no footers"] : []),
  ];
}

function ramLines({ ram, pageSize }: StreamInfo): string[] {
  const { blocks, rounds, pages, distinctPages, zstdShare } = ram;
  const total = pagesIn(pages);
  return [
    `RAM: ${formatSize(ram.bytes)} in ${formatCounted(blocks.length, "block")}, pages of ${formatSize(pageSize)}`,
    ...table("block", blocks, blocksShown, ({ name, size, pages }) => [
      printable(name),
      formatSize(size),
      ...cells(pages),
    ]),
    ...(rounds.length > 1
      ? table(
          "round",
          rounds.map((pages, index) => ({ pages, index })),
          roundsShown,
          (round) => [String(round.index + 1), "", ...cells(round.pages)],
        )
      : []),
    `pages: ${formatCount(total)}${shares(pages, total)}`,
    ...(distinctPages === undefined || pages.normal === 0
      ? []
      : [`contents: about ${formatCount(distinctPages)} different pages that are not zeros`]),
    ...(zstdShare === undefined
      ? []
      : [`zstd would leave ${formatShare(zstdShare)} of them, by a sample`]),
  ];
}

function table<T>(
  title: string,
  rows: readonly T[],
  shown: number,
  textsOf: (row: T) => readonly string[],
): string[] {
  const header = [title, "size", "normal", "zero", "xbzrle", "again", "bytes"];
  const lines = alignedLines([header, ...rows.slice(0, shown).map(textsOf)], 1);
  const hidden = rows.length - shown;
  return [...lines.map((line) => `  ${line}`), ...(hidden > 0 ? [`  … and ${hidden} more`] : [])];
}

function cells({ normal, zero, xbzrle, again, bytes }: RamCounts): string[] {
  const counts = [normal, zero, xbzrle, again].map((value) =>
    value === 0 ? "" : formatCount(value),
  );
  return [...counts, formatSize(bytes)];
}

function shares({ normal, zero, xbzrle, again, empty }: RamCounts, total: number): string {
  const kinds = [
    [normal, "normal"],
    [zero, "zero"],
    [xbzrle, "xbzrle"],
    [again, "sent again"],
    [empty, "sent as they are, but zero"],
  ] as const;
  const named = kinds.flatMap(([value, name]) =>
    value === 0 ? [] : [`${formatShare(value / total)} ${name}`],
  );
  return named.length === 0 ? "" : `: ${named.join(", ")}`;
}

function sectionLines({ sections, deviceStates, commands, ram }: StreamInfo): string[] {
  const devices = sections.filter(({ name }) => name !== "ram");
  const bytes = devices.reduce((sum, device) => sum + device.bytes, 0);
  const shown = devices.slice(0, sectionsShown);
  const rows = shown.map(({ name, instance, version, bytes }) => [
    printable(name),
    String(instance),
    String(version),
    formatSize(bytes),
  ]);
  const header = ["the largest", "instance", "version", "bytes"];
  return [
    `devices: ${formatCount(devices.length)}, ${formatSize(bytes)}`,
    ...alignedLines([header, ...rows], 1).map((line) => `  ${line}`),
    ...deviceStateLines(deviceStates),
    ...(commands.length > 0 ? [`commands: ${printable(commands.join(", "))}`] : []),
    ...(ram.flushes > 0
      ? [
          `multifd: its channels, of which this is not one, synchronize ${formatCounted(ram.flushes, "time")}`,
        ]
      : []),
  ];
}

function deviceStateLines(states: StreamInfo["deviceStates"]): string[] {
  if (states.length === 0) return [];
  const bytes = states.reduce((sum, state) => sum + state.bytes, 0);
  const rows = states.map(({ name, instance, packets, bytes }) => [
    printable(name),
    String(instance),
    formatCount(packets),
    formatSize(bytes),
  ]);
  const header = ["device", "instance", "packets", "bytes"];
  return [
    `state in channels: ${formatCounted(states.length, "device")}, ${formatSize(bytes)}`,
    ...alignedLines([header, ...rows], 1).map((line) => `  ${line}`),
  ];
}

function endLines({ descriptionBytes, undelimitedBytes, trailingBytes }: StreamInfo): string[] {
  return [
    descriptionBytes === 0
      ? "no description: devices are bytes without names"
      : `description: ${formatSize(descriptionBytes)}`,
    ...(undelimitedBytes > 0
      ? [`${formatSize(undelimitedBytes)} that cannot be told apart: no footers, no description`]
      : []),
    ...(trailingBytes > 0 ? [`${formatSize(trailingBytes)} behind the stream's end`] : []),
  ];
}
