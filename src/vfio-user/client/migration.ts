/** A device's features: its migration states and data, and the log of what it writes by DMA. */
import { constants } from "node:os";
import type { Job } from "../../../ffi/job.ts";
import type { LinkData } from "../../../ffi/link.ts";
import { jobEnd, jobSide } from "../../../ffi/structs.ts";
import { ZcError } from "../../errors.ts";
import { eitherSignal, finished, pollIn, pollOut, ready } from "../../run-job.ts";
import { watchIdle } from "../../transfer/idle.ts";
import type { MoveEnd } from "../../transfer/move.ts";
import type { AddressRange } from "../../vfio/device.ts";
import {
  featureDmaLoggingReport,
  featureFlags,
  featureMigration,
  featureMigState,
  features,
} from "../../vfio/feature.ts";
import type { DeviceState } from "../../vfio/states.ts";
import {
  type DecodedFeature,
  decodeDmaLoggingReportReply,
  decodeFeature,
  decodeMigration,
  decodeMigState,
  dmaLoggingBitmapSize,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
  encodeFeature,
  encodeMigState,
} from "../protocol/feature.ts";
import { assertSame, type CallOptions, type Calls } from "./calls.ts";

export interface DataTransferOptions {
  /** Bytes; undefined: all that there is. */
  readonly limit?: number | undefined;
  /** Bytes a message; default: the most that both sides take. */
  readonly chunk?: number | undefined;
  /** Give up when the device has owed a reply for so long, and nothing moved; undefined: never. */
  readonly idleMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the bytes so far, now and then. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface DataTransferred {
  readonly bytes: number;
  /** "limit": as many as were asked for; "end": there was no more, which in PRE_COPY is for now. */
  readonly end: "end" | "limit";
}

/** A bit for each page; `pageSize` in bytes, the lowest bit of the first byte is that of `address`. */
export interface DmaLog extends AddressRange {
  readonly pageSize: number;
  readonly bitmap: Uint8Array;
}

const { EINVAL, ENOTTY, EOPNOTSUPP, ENOSYS, EPROTO, EPIPE, ECONNRESET } = constants.errno;
/** What servers say of a feature or a command that they do not have. */
const missing = new Set<number>([EINVAL, ENOTTY, EOPNOTSUPP, ENOSYS]);
const progressEveryMs = 100;

export class Migration {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Whether a feature of vfio/feature.ts can be had with these of its `featureFlags`. */
  async has(feature: number, operations: number, options: CallOptions = {}): Promise<boolean> {
    try {
      await this.#feature(feature, featureFlags.PROBE | operations, new Uint8Array(), 0, options);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** `migrationFlags`, or'ed together; 0: the device cannot be migrated. */
  async flags(options: CallOptions = {}): Promise<bigint> {
    try {
      const { size } = featureMigration;
      const { GET } = featureFlags;
      const { data } = await this.#feature(features.MIGRATION, GET, noData, size, options);
      return decodeMigration(data);
    } catch (error) {
      if (isMissing(error)) return 0n;
      throw error;
    }
  }

  /** Throws DEVICE, PROTOCOL. */
  async state(options: CallOptions = {}): Promise<DeviceState> {
    const { size } = featureMigState;
    const { GET } = featureFlags;
    const { data } = await this.#feature(features.MIG_DEVICE_STATE, GET, noData, size, options);
    return decodeMigState(data);
  }

  /** After an error the device can rest in any state on the way. Throws DEVICE. */
  async setState(state: DeviceState, options: CallOptions = {}): Promise<void> {
    const data = encodeMigState(state);
    await this.#feature(features.MIG_DEVICE_STATE, featureFlags.SET, data, 0, options);
  }

  /** No ranges: all of memory. Throws DEVICE. */
  async startDmaLogging(
    ranges: readonly AddressRange[],
    pageSize: number,
    options: CallOptions = {},
  ): Promise<void> {
    const data = encodeDmaLoggingStart({
      page_size: BigInt(pageSize),
      ranges: ranges.map(({ address, size }) => ({ iova: address, length: size })),
    });
    await this.#feature(features.DMA_LOGGING_START, featureFlags.SET, data, 0, options);
  }

  /**
   * What was written since it was last asked; it is clean again. Some servers know no ranges but
   * those that were mapped. Throws DEVICE, PROTOCOL, USAGE for more pages than fit into a message.
   */
  async takeDmaLog(
    { address, size }: AddressRange,
    pageSize: number,
    options: CallOptions = {},
  ): Promise<DmaLog> {
    const report = { iova: address, length: size, page_size: BigInt(pageSize) };
    const bitmapSize = dmaLoggingBitmapSize(report);
    const { maxDataXferSize } = this.#calls.limits;
    if (bitmapSize > BigInt(maxDataXferSize)) throw tooManyPages(maxDataXferSize * 8);
    const room = featureDmaLoggingReport.size + Number(bitmapSize);
    const { data } = await this.#feature(
      ...([features.DMA_LOGGING_REPORT, featureFlags.GET] as const),
      ...([encodeDmaLoggingReport(report), room, options] as const),
    );
    const reply = decodeDmaLoggingReportReply(data);
    assertSame("address", address, reply.iova);
    assertSame("bytes", size, reply.length);
    assertSame("a page size of", report.page_size, reply.page_size);
    return { address, size, pageSize, bitmap: reply.bitmap };
  }

  async stopDmaLogging(options: CallOptions = {}): Promise<void> {
    await this.#feature(features.DMA_LOGGING_STOP, featureFlags.SET, noData, 0, options);
  }

  /** From the device to the sink, in C. Throws DEVICE, WRITE_SINK, PROTOCOL, PEER_RESET, TIMEOUT. */
  read(sink: MoveEnd, options: DataTransferOptions = {}): Promise<DataTransferred> {
    const { link } = this.#calls.connection;
    return this.#move("read", sink, link.pull.bind(link), options);
  }

  /** From the source, to its end, to the device. Throws likewise, and READ_SOURCE. */
  write(source: MoveEnd, options: DataTransferOptions = {}): Promise<DataTransferred> {
    const { link } = this.#calls.connection;
    return this.#move("write", source, link.push.bind(link), options);
  }

  async #move(
    direction: "read" | "write",
    end: MoveEnd,
    start: (data: LinkData) => Job | number,
    { limit, chunk, idleMs, signal, onProgress }: DataTransferOptions,
  ): Promise<DataTransferred> {
    const { connection, limits } = this.#calls;
    const size = Math.min(chunk ?? limits.maxDataXferSize, limits.maxDataXferSize);
    const job = start({ fd: end.fd, size, limit });
    if (typeof job === "number") throw moveError(direction, connection.peer, -job);
    const stop = new AbortController();
    const waits = countWaits(end.fd, direction === "read" ? pollOut : pollIn);
    const activity = () => job.stats.bytes + job.stats.calls + waits();
    using _idle = watchIdle({ activity, idleMs, peer: connection.peer, stop });
    const timer = setInterval(() => onProgress?.(job.stats.bytes), progressEveryMs);
    try {
      const stats = await finished(job, eitherSignal(stop.signal, signal));
      const isDevices = stats.side === (direction === "read" ? jobSide.source : jobSide.sink);
      if (stats.error !== 0 && isDevices) throw moveError(direction, connection.peer, stats.error);
      if (stats.error !== 0) throw endError(direction, end.name, stats.error);
      return { bytes: stats.bytes, end: stats.end === jobEnd.limit ? "limit" : "end" };
    } finally {
      clearInterval(timer);
      onProgress?.(job.stats.bytes);
    }
  }

  /** `replyData`: bytes that the reply is to bring. */
  async #feature(
    feature: number,
    operations: number,
    data: Uint8Array,
    replyData: number,
    options: CallOptions,
  ): Promise<DecodedFeature> {
    const request = encodeFeature({ feature, operations, data }, replyData);
    const reply = decodeFeature(await this.#calls.call("DEVICE_FEATURE", request, options));
    assertSame("feature", feature, reply.feature);
    return reply;
  }
}

/**
 * How often it was the descriptor that was waited for, and not the device: it had no room, or no data,
 * when it was looked at, which is done each time that this is called.
 */
function countWaits(fd: number, events: number): () => number {
  let waits = 0;
  const look = async () => {
    if (!(await ready(fd, events, { timeoutMs: 0 }))) waits++;
  };
  return () => {
    look().catch(() => {}); // then the device is blamed
    return waits;
  };
}

const noData = new Uint8Array();

function isMissing(error: unknown): boolean {
  return error instanceof ZcError && error.code === "DEVICE" && missing.has(error.errno ?? 0);
}

function moveError(direction: "read" | "write", peer: string, errno: number): ZcError {
  const operation = `${direction} the migration data of`;
  if (errno === EPROTO)
    return new ZcError({
      ...{ code: "PROTOCOL", operation, subject: peer },
      reason: "a reply that does not hold what it says",
    });
  const isGone = errno === EPIPE || errno === ECONNRESET;
  return new ZcError({ code: isGone ? "PEER_RESET" : "DEVICE", operation, subject: peer, errno });
}

/** Of the other end: a file, a pipe or a socket. */
function endError(direction: "read" | "write", name: string, errno: number): ZcError {
  return direction === "read"
    ? new ZcError({ code: "WRITE_SINK", operation: "write", subject: name, errno })
    : new ZcError({ code: "READ_SOURCE", operation: "read", subject: name, errno });
}

function tooManyPages(max: number): ZcError {
  const reason = `its bitmap fits into no message: ask for ${max} pages at most`;
  return new ZcError({ code: "USAGE", operation: "take a DMA log", reason });
}
