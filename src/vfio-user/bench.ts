/** How fast a vfio-user device answers. The calls are made, and measured, in C. */
import { closeSync, openSync } from "node:fs";
import type * as z from "zod";
import { ZcError } from "../errors.ts";
import { LatencyHistogram } from "../latency.ts";
import { finished } from "../run-job.ts";
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
}

/** Throws DEVICE for a read that is refused, and PEER_RESET. */
export async function benchReads(
  client: Client,
  { region, offset, size, depth, durationMs }: ReadsOptions,
  signal?: AbortSignal,
): Promise<BenchResult["reads"]> {
  await client.regions.read(region, offset, size, { map: false, signal });
  const histogram = new LatencyHistogram();
  const payload = encodeRegionAccess({ region, offset, count: size });
  const request = joinBytes(encodeHeader(headerOf(payload.length)), payload);
  const { counts } = histogram;
  const begin = performance.now();
  const job = client.connection.link.call({ request, depth, durationMs, counts });
  const { calls, error } = typeof job === "number" ? gone(job) : await finished(job, signal);
  const seconds = (performance.now() - begin) / 1e3;
  if (error !== 0)
    throw new ZcError({ code: "DEVICE", operation: "read of", subject: client.peer, errno: error });
  const latencyNs = histogram.summary();
  return {
    ...{ region, offset: `0x${offset.toString(16)}`, size, depth, count: calls, seconds },
    perSecond: calls / seconds,
    ...(latencyNs && { latencyNs }),
  };
}

/**
 * Stops the device, reads what STOP_COPY gives, and lets it be what it was. undefined: it cannot be
 * migrated. Throws what saveDevice does.
 */
export async function benchMigration(
  client: Client,
  signal?: AbortSignal,
): Promise<BenchResult["migration"]> {
  const device = new UserDevice(client.peer, client);
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
  } finally {
    closeSync(fd);
  }
}

function gone(result: number) {
  return { calls: 0, error: -result };
}

function headerOf(payloadSize: number): Header {
  const { REGION_READ: command } = commands;
  const size = headerSize + payloadSize;
  return { id: 0, command, size, type: "command", noReply: false, isError: false, errno: 0 };
}
