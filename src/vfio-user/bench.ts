/** How fast a vfio-user device answers. The calls are made, and measured, in C. */
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import type * as z from "zod";
import type { Job, JobStats } from "../../ffi/job.ts";
import { ZcError } from "../errors.ts";
import { LatencyHistogram } from "../latency.ts";
import { eitherSignal, finished } from "../run-job.ts";
import { watchIdle } from "../transfer/idle.ts";
import { joinBytes } from "../vfio/record.ts";
import { saveDevice } from "../vfio/save.ts";
import type { Client } from "./client.ts";
import { UserDevice } from "./device.ts";
import { commands } from "./protocol/commands.ts";
import { encodeHeader, type Header, headerSize } from "./protocol/header.ts";
import { encodeRegionAccess } from "./protocol/region.ts";
import type { benchSchema } from "./report.schema.ts";

export type BenchResult = z.infer<typeof benchSchema>;

/** ZC_LINK_DEPTH_MAX in c/zc.h. */
export const depthMax = 1024;

export interface ReadsOptions {
  readonly region: number;
  readonly offset: bigint;
  /** Bytes a read. */
  readonly size: number;
  /** Under way at once. */
  readonly depth: number;
  readonly durationMs: number;
  /** How long it may be silent. */
  readonly replyTimeoutMs: number;
}

/** Throws DEVICE for a read that is refused, TIMEOUT, and PEER_RESET. */
export async function benchReads(
  client: Client,
  { region, offset, size, depth, durationMs, replyTimeoutMs }: ReadsOptions,
  signal?: AbortSignal,
): Promise<BenchResult["reads"]> {
  await client.regions.read(region, offset, size, { map: false, signal });
  const histogram = new LatencyHistogram();
  const payload = encodeRegionAccess({ region, offset, count: size });
  const request = joinBytes(encodeHeader(headerOf(payload.length)), payload);
  const { counts } = histogram;
  const begin = performance.now();
  const job = client.connection.link.call({ request, depth, durationMs, counts });
  if (typeof job === "number") throw readError(client, -job);
  const { calls, error } = await answered(client, job, replyTimeoutMs, signal);
  const seconds = (performance.now() - begin) / 1e3;
  if (error !== 0) throw readError(client, error);
  const latencyNs = histogram.summary();
  return {
    ...{ region, offset: `0x${offset.toString(16)}`, size, depth, count: calls, seconds },
    perSecond: calls / seconds,
    ...(latencyNs && { latencyNs }),
  };
}

/** Throws TIMEOUT when no reply comes any more, and the signal's reason. */
async function answered(
  client: Client,
  job: Job,
  replyTimeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<JobStats> {
  const stop = new AbortController();
  const activity = () => job.stats.calls;
  using _idle = watchIdle({ activity, idleMs: replyTimeoutMs, peer: client.peer, stop });
  try {
    return await finished(job, eitherSignal(stop.signal, signal));
  } catch (error) {
    throw stop.signal.aborted ? late("read of", client, replyTimeoutMs) : error;
  }
}

/**
 * Stops the device, reads what STOP_COPY gives, and lets it be what it was. undefined: it cannot be
 * migrated. Throws what saveDevice does.
 */
export async function benchMigration(
  client: Client,
  replyTimeoutMs: number,
  signal?: AbortSignal,
): Promise<BenchResult["migration"]> {
  const device = new UserDevice(client.peer, client, { dataTimeoutMs: replyTimeoutMs });
  if (!(await device.features(signal)).stopCopy) return undefined;
  const before = await device.state(signal);
  const fd = openSync("/dev/null", "w");
  try {
    const { bytes, downtimeMs } = await saveDevice(
      device,
      { end: { fd, name: "/dev/null", isSocket: false }, finish: async () => {} },
      { preCopy: false, downtimeMs: 0, run: before === "RUNNING", signal },
    );
    const seconds = downtimeMs / 1e3;
    return { bytes, seconds, bytesPerSecond: bytes / seconds };
  } catch (error) {
    throw isIdle(error) ? late("read the migration data of", client, replyTimeoutMs) : error;
  } finally {
    closeSync(fd);
  }
}

const { EPIPE, ECONNRESET } = constants.errno;

function readError({ peer: subject }: Client, errno: number): ZcError {
  const code = errno === EPIPE || errno === ECONNRESET ? "PEER_RESET" : "DEVICE";
  return new ZcError({ code, operation: "read of", subject, errno });
}

function late(operation: string, { peer: subject }: Client, replyTimeoutMs: number): ZcError {
  const reason = `no reply within ${replyTimeoutMs} ms`;
  return new ZcError({ code: "TIMEOUT", operation, subject, reason });
}

/** Of the data: its hint is an option of those who move them. */
function isIdle(error: unknown): boolean {
  return error instanceof ZcError && error.code === "TIMEOUT" && error.hint !== undefined;
}

function headerOf(payloadSize: number): Header {
  const { REGION_READ: command } = commands;
  const size = headerSize + payloadSize;
  return { id: 0, command, size, type: "command", noReply: false, isError: false, errno: 0 };
}
