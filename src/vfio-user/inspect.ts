/** All that a vfio-user device says of itself. */
import type * as z from "zod";
import { featureFlags, features } from "../vfio/feature.ts";
import {
  decodePciIdentity,
  type PciIdentity,
  pciIdentitySize,
  pciInterruptNames,
  pciRegionNames,
  pciRegions,
} from "../vfio/pci.ts";
import { featuresOf } from "../vfio/states.ts";
import type { CallOptions } from "./client/calls.ts";
import type { Client } from "./client.ts";
import { deviceFlags } from "./protocol/device-info.ts";
import { irqInfoFlags } from "./protocol/irq.ts";
import { Malformed } from "./protocol/malformed.ts";
import { type RegionInfo, regionFlags } from "./protocol/region-info.ts";
import type { deviceSchema } from "./report.schema.ts";

export type DeviceReport = z.infer<typeof deviceSchema>;
type RegionReport = DeviceReport["regions"][number];
type InterruptReport = DeviceReport["interrupts"][number];

/** Of each kind; a PCI device has 9 regions, and 5 kinds of interrupts. */
const countMax = 256;

/** Changes nothing. Throws what the client's calls do. */
export async function inspectDevice(
  client: Client,
  options: CallOptions = {},
): Promise<DeviceReport> {
  const { flags, num_regions, num_irqs } = await client.info(options);
  assertSensible(Math.max(num_regions, num_irqs));
  const isPci = (flags & deviceFlags.PCI) !== 0;
  const regions: RegionReport[] = [];
  for (let index = 0; index < num_regions; index++)
    regions.push(regionReport(await client.regions.info(index, options), isPci));
  const { major, minor, capabilities = {} } = client.version;
  return {
    socket: client.peer,
    ...{ version: `${major}.${minor}`, capabilities, twinSocket: client.hasTwinSocket },
    ...{ canReset: (flags & deviceFlags.RESET) !== 0, isPci },
    ...(isPci && { pci: await identify(client, options) }),
    ...{ regions, interrupts: await inspectInterrupts(client, options) },
    dmaLogging: await client.migration.has(features.DMA_LOGGING_START, featureFlags.SET, options),
    ...(await inspectMigration(client, options)),
  };
}

/** The kinds of interrupts that it has. */
export async function inspectInterrupts(
  client: Client,
  options: CallOptions = {},
): Promise<InterruptReport[]> {
  const { flags, num_irqs } = await client.info(options);
  assertSensible(num_irqs);
  const isPci = (flags & deviceFlags.PCI) !== 0;
  const interrupts: InterruptReport[] = [];
  for (let index = 0; index < num_irqs; index++) {
    const info = await client.interrupts.info(index, options);
    const name = isPci ? pciInterruptNames[index] : undefined;
    interrupts.push({
      ...{ index, ...(name !== undefined && { name }), count: info.count },
      eventfd: (info.flags & irqInfoFlags.EVENTFD) !== 0,
      maskable: (info.flags & irqInfoFlags.MASKABLE) !== 0,
      automasked: (info.flags & irqInfoFlags.AUTOMASKED) !== 0,
    });
  }
  return interrupts;
}

function regionReport(info: RegionInfo, isPci: boolean): RegionReport {
  const { index, flags, size, areas } = info;
  const name = isPci ? pciRegionNames[index] : undefined;
  const isMappable = (flags & regionFlags.MMAP) !== 0;
  const mappable = isMappable ? (areas ?? [{ offset: 0n, size }]) : [];
  return {
    ...{ index, ...(name !== undefined && { name }), size: plain(size) },
    readable: (flags & regionFlags.READ) !== 0,
    writable: (flags & regionFlags.WRITE) !== 0,
    mappable: mappable.map((area) => ({ offset: plain(area.offset), size: plain(area.size) })),
  };
}

async function identify(client: Client, options: CallOptions): Promise<PciIdentity> {
  const config = await client.regions.read(pciRegions.config, 0n, pciIdentitySize, options);
  return decodePciIdentity(config);
}

async function inspectMigration(
  { migration }: Client,
  options: CallOptions,
): Promise<Pick<DeviceReport, "migration">> {
  const can = featuresOf(await migration.flags(options));
  if (!can.stopCopy) return {};
  return { migration: { ...can, state: await migration.state(options) } };
}

function plain(value: bigint): number | string {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : `0x${value.toString(16)}`;
}

function assertSensible(count: number): void {
  if (count <= countMax) return;
  const expected = `at most ${countMax} regions, and kinds of interrupts`;
  throw new Malformed({ offset: 8, expected, found: `${count}` });
}
