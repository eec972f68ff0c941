/**
 * Migration and DMA logging. vfio-user specification, "VFIO_USER_DEVICE_FEATURE": a header, and data of
 * the feature, in the request, the reply or both.
 */

import { bitmapSize } from "../../vfio/dirty-bitmap.ts";
import {
  featureDmaLoggingControl,
  featureDmaLoggingRange,
  featureDmaLoggingReport,
  featureHeader,
  featureMask,
  featureMigration,
  featureMigState,
} from "../../vfio/feature.ts";
import { joinBytes, type RecordValues } from "../../vfio/record.ts";
import { type DeviceState, deviceStates } from "../../vfio/states.ts";
import { checkArgsz, decodeData, decodeStruct, decodeStructs, Malformed } from "./malformed.ts";

export interface Feature {
  /** `features` of vfio/feature.ts, by number. */
  readonly feature: number;
  /** `featureFlags`, or'ed together. */
  readonly operations: number;
  readonly data: Uint8Array;
}

export interface DecodedFeature extends Feature {
  /** Of a request: the reply's payload that is taken; bytes. */
  readonly argsz: number;
}

/** With `replyData`, the size of what the reply is to bring: an argsz that has room for it. */
export function encodeFeature(feature: Feature, replyData = 0): Uint8Array<ArrayBuffer> {
  const { data, operations } = feature;
  const argsz = featureHeader.size + Math.max(data.length, replyData);
  return joinBytes(
    featureHeader.encode({ argsz, flags: operations | (feature.feature & featureMask) }),
    data,
  );
}

/** The data are borrowed, and are to be decoded by those below. */
export function decodeFeature(payload: Uint8Array): DecodedFeature {
  const { argsz, flags } = decodeStruct(featureHeader, "a feature", payload);
  checkArgsz(argsz, featureHeader.size);
  const data = payload.subarray(featureHeader.size);
  return { argsz, feature: flags & featureMask, operations: (flags & ~featureMask) >>> 0, data };
}

/** Of MIGRATION: `migrationFlags`, or'ed together. */
export function encodeMigration(flags: bigint): Uint8Array<ArrayBuffer> {
  return featureMigration.encode({ flags });
}

export function decodeMigration(data: Uint8Array): bigint {
  return decodeStruct(featureMigration, "what a migration can do", data).flags;
}

/** Of MIG_DEVICE_STATE; vfio-user has no data_fd. */
export function encodeMigState(state: DeviceState): Uint8Array<ArrayBuffer> {
  return featureMigState.encode({ device_state: deviceStates.indexOf(state), data_fd: -1 });
}

export function decodeMigState(data: Uint8Array): DeviceState {
  const { device_state } = decodeStruct(featureMigState, "a device's state", data);
  const state = deviceStates[device_state];
  if (state === undefined)
    throw new Malformed({ offset: 0, expected: "a device's state", found: `${device_state}` });
  return state;
}

export type DmaLoggingRange = RecordValues<{ iova: "u64"; length: "u64" }>;

/** Of DMA_LOGGING_START; no ranges: all of memory. DMA_LOGGING_STOP has no data. Bytes. */
export interface DmaLoggingStart {
  readonly page_size: bigint;
  readonly ranges: readonly DmaLoggingRange[];
}

export function encodeDmaLoggingStart({
  page_size,
  ranges,
}: DmaLoggingStart): Uint8Array<ArrayBuffer> {
  return joinBytes(
    featureDmaLoggingControl.encode({ page_size, num_ranges: ranges.length }),
    ...ranges.map((range) => featureDmaLoggingRange.encode(range)),
  );
}

export function decodeDmaLoggingStart(data: Uint8Array): DmaLoggingStart {
  const { page_size, num_ranges } = decodeStruct(featureDmaLoggingControl, "DMA logging", data);
  const at = featureDmaLoggingControl.size;
  return {
    page_size,
    ranges: decodeStructs(featureDmaLoggingRange, "ranges", data, at, num_ranges),
  };
}

/** Of DMA_LOGGING_REPORT; bytes. The page size is a power of two. */
export type DmaLoggingReport = RecordValues<{ iova: "u64"; length: "u64"; page_size: "u64" }>;

export function encodeDmaLoggingReport(report: DmaLoggingReport): Uint8Array<ArrayBuffer> {
  return featureDmaLoggingReport.encode(report);
}

export function decodeDmaLoggingReport(data: Uint8Array): DmaLoggingReport {
  const report = decodeStruct(featureDmaLoggingReport, "a report of DMA logging", data);
  const { page_size } = report;
  if (page_size === 0n || (page_size & (page_size - 1n)) !== 0n)
    throw new Malformed({
      offset: 16,
      expected: "a page size that is a power of two",
      found: `${page_size}`,
    });
  return report;
}

/** The reply to it: bit n is of the page at iova + n * page_size, the lowest bit of a byte first. */
export function encodeDmaLoggingReportReply(
  report: DmaLoggingReport,
  bitmap: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return joinBytes(encodeDmaLoggingReport(report), bitmap);
}

/** The bitmap is borrowed, and as long as `dmaLoggingBitmapSize` says. */
export function decodeDmaLoggingReportReply(
  data: Uint8Array,
): DmaLoggingReport & { readonly bitmap: Uint8Array } {
  const report = decodeDmaLoggingReport(data);
  const size = dmaLoggingBitmapSize(report);
  return { ...report, bitmap: decodeData(data, featureDmaLoggingReport.size, size) };
}

/** `bitmapSize` of a report; bytes. */
export function dmaLoggingBitmapSize({ length, page_size }: DmaLoggingReport): bigint {
  return bitmapSize(length, page_size);
}
