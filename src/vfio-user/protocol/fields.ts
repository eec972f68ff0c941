/** What a message says, for whoever shows it: its payload's fields by name, flags by theirs. Pure. */
import { printable } from "../../errors.ts";
import { featureFlags, features, migrationFlags } from "../../vfio/feature.ts";
import type { CommandName } from "./commands.ts";
import { decodeDeviceInfo, deviceFlags } from "./device-info.ts";
import {
  type DmaUnmap,
  decodeDmaAccess,
  decodeDmaData,
  decodeDmaMap,
  decodeDmaUnmap,
  decodeDmaUnmapReply,
  dmaRegionFlags,
  dmaUnmapFlags,
} from "./dma.ts";
import {
  decodeDmaLoggingReport,
  decodeDmaLoggingReportReply,
  decodeDmaLoggingStart,
  decodeFeature,
  decodeMigration,
  decodeMigState,
} from "./feature.ts";
import { decodeIrqInfo, decodeIrqSet, irqInfoFlags } from "./irq.ts";
import { decodeData } from "./malformed.ts";
import { decodeMigData, decodeMigDataRead } from "./migration-data.ts";
import {
  decodeRegionAccess,
  decodeRegionData,
  decodeRegionWrites,
  decodeRegionWritesReply,
} from "./region.ts";
import { decodeRegionInfo, decodeRegionInfoRequest, regionFlags } from "./region-info.ts";
import { decodeRegionIoFds, decodeRegionIoFdsRequest } from "./region-io-fds.ts";
import { decodeVersion } from "./version.ts";

/** Numbers, names, lists of names, bytes, and objects and lists of these. */
export type Fields = Readonly<Record<string, unknown>>;
type Reader = (payload: Uint8Array) => Fields;

/** Of a payload that is no error's. Throws Malformed. */
export function fieldsOf(
  name: CommandName,
  type: "command" | "reply",
  payload: Uint8Array,
): Fields {
  return readers[name][type](payload);
}

const readers: Readonly<Record<CommandName, { readonly command: Reader; readonly reply: Reader }>> =
  {
    VERSION: { command: version, reply: version },
    DMA_MAP: { command: dmaMap, reply: nothing },
    DMA_UNMAP: {
      command: (payload) => dmaUnmap(decodeDmaUnmap(payload)),
      reply: (payload) => dmaUnmap(decodeDmaUnmapReply(payload)),
    },
    DEVICE_GET_INFO: { command: deviceInfoRequest, reply: deviceInfo },
    DEVICE_GET_REGION_INFO: {
      command: (payload) => ({ ...decodeRegionInfoRequest(payload) }),
      reply: regionInfo,
    },
    DEVICE_GET_REGION_IO_FDS: {
      command: (payload) => ({ ...decodeRegionIoFdsRequest(payload) }),
      reply: (payload) => ({ ...decodeRegionIoFds(payload) }),
    },
    DEVICE_GET_IRQ_INFO: {
      command: (payload) => ({ index: decodeIrqInfo(payload).index }),
      reply: irqInfo,
    },
    DEVICE_SET_IRQS: { command: irqSet, reply: nothing },
    REGION_READ: { command: regionAccess, reply: regionData },
    REGION_WRITE: { command: regionData, reply: regionAccess },
    DMA_READ: {
      command: (payload) => ({ ...decodeDmaAccess(payload) }),
      reply: (payload) => ({ ...decodeDmaData(payload) }),
    },
    DMA_WRITE: {
      command: (payload) => ({ ...decodeDmaData(payload) }),
      reply: (payload) => ({ ...decodeDmaAccess(payload) }),
    },
    DEVICE_RESET: { command: nothing, reply: nothing },
    REGION_WRITE_MULTI: {
      command: (payload) => ({ writes: decodeRegionWrites(payload).map(byRegion) }),
      reply: (payload) => ({ count: decodeRegionWritesReply(payload) }),
    },
    DEVICE_FEATURE: {
      command: (payload) => feature(payload, false),
      reply: (payload) => feature(payload, true),
    },
    MIG_DATA_READ: {
      command: (payload) => ({ count: decodeMigDataRead(payload) }),
      reply: (payload) => ({ data: decodeMigData(payload) }),
    },
    MIG_DATA_WRITE: {
      command: (payload) => ({ data: decodeMigData(payload) }),
      reply: nothing,
    },
  };

function nothing(payload: Uint8Array): Fields {
  decodeData(payload, 0, 0);
  return {};
}

function version(payload: Uint8Array): Fields {
  const { unknown, ...version } = decodeVersion(payload);
  return unknown.length === 0 ? version : { ...version, unknown: unknown.map(printable) };
}

function dmaMap(payload: Uint8Array): Fields {
  const { addr, size, offset, flags } = decodeDmaMap(payload);
  return { addr, size, offset, flags: flagNames(flags, dmaRegionFlags) };
}

function dmaUnmap({ addr, size, flags, ...rest }: DmaUnmap): Fields {
  return { addr, size, flags: flagNames(flags, dmaUnmapFlags), ...rest };
}

/** All of it is zeros. */
function deviceInfoRequest(payload: Uint8Array): Fields {
  decodeDeviceInfo(payload);
  return {};
}

function deviceInfo(payload: Uint8Array): Fields {
  const { flags, num_regions, num_irqs } = decodeDeviceInfo(payload);
  return { flags: flagNames(flags, deviceFlags), num_regions, num_irqs };
}

function regionInfo(payload: Uint8Array): Fields {
  const { flags, otherCapabilities, index, size, offset, argsz, areas } = decodeRegionInfo(payload);
  return {
    ...{ index, size, offset, flags: flagNames(flags, regionFlags), argsz },
    ...(areas && { areas }),
    ...(otherCapabilities.length > 0 && { otherCapabilities }),
  };
}

function irqInfo(payload: Uint8Array): Fields {
  const { index, count, flags } = decodeIrqInfo(payload);
  return { index, count, flags: flagNames(flags, irqInfoFlags) };
}

function irqSet(payload: Uint8Array): Fields {
  const { index, start, count, action, data, bools } = decodeIrqSet(payload);
  return { index, start, count, action, kind: data, ...(bools && { bools }) };
}

function regionAccess(payload: Uint8Array): Fields {
  return byRegion(decodeRegionAccess(payload));
}

function regionData(payload: Uint8Array): Fields {
  return byRegion(decodeRegionData(payload));
}

/** In the order in which it is said. */
function byRegion<T extends { readonly region: number }>({ region, ...rest }: T): Fields {
  return { region, ...rest };
}

function feature(payload: Uint8Array, isReply: boolean): Fields {
  const { feature: number, operations, data } = decodeFeature(payload);
  const name = featureNames.get(number);
  const isProbe = (operations & featureFlags.PROBE) !== 0;
  const read = name === undefined || isProbe ? undefined : featureReaders[name];
  const isSet = (operations & featureFlags.SET) !== 0;
  return {
    feature: name ?? number,
    operations: flagNames(operations, featureFlags),
    ...(read?.(data, { isReply, isSet }) ?? (data.length > 0 && { data })),
  };
}

const featureNames = new Map<number, keyof typeof features>(
  Object.entries(features).map(([name, number]) => [number, name as keyof typeof features]),
);

type FeatureReader = (
  data: Uint8Array,
  how: { readonly isReply: boolean; readonly isSet: boolean },
) => Fields | undefined;

/** undefined: there is no data, or none that is known. */
const featureReaders: Partial<Record<keyof typeof features, FeatureReader>> = {
  MIGRATION: (data, { isReply }) =>
    isReply ? { flags: flagNames(decodeMigration(data), migrationFlags) } : undefined,
  MIG_DEVICE_STATE: (data, { isReply, isSet }) =>
    isReply || isSet ? { state: decodeMigState(data) } : undefined,
  DMA_LOGGING_START: (data) => ({ ...decodeDmaLoggingStart(data) }),
  DMA_LOGGING_REPORT: (data, { isReply }) =>
    isReply ? { ...decodeDmaLoggingReportReply(data) } : { ...decodeDmaLoggingReport(data) },
};

/** With what is left of them as a number, "0x100". */
function flagNames(
  flags: number | bigint,
  names: Readonly<Record<string, number | bigint>>,
): readonly string[] {
  let left = BigInt(flags);
  const found = Object.entries(names)
    .filter(([, flag]) => (left & BigInt(flag)) !== 0n)
    .map(([name, flag]) => {
      left &= ~BigInt(flag);
      return name;
    });
  return left === 0n ? found : [...found, `0x${left.toString(16)}`];
}
