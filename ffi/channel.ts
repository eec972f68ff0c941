/** The channel's job: writes go in, completions come out. */
import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { type Job, startJob } from "./job.ts";
import { library } from "./library.ts";
import { channelPartsMax, channelStruct, completionStruct } from "./structs.ts";

export type RawCompletion = ReturnType<typeof completionStruct.readAt>;

export interface ChannelSettings {
  readonly fd: number;
  /** Bytes. */
  readonly piece: number;
  readonly worthwhile: number;
  readonly depth: number;
  /** Of channelFlag. */
  readonly flags: number;
}

const { EPIPE } = constants.errno;
const batch = 128;

/**
 * Starts a channel on a connected socket; `onCompletions` is told of all that was not told before.
 * Returns it, or a negative errno.
 */
export function startChannel(
  settings: ChannelSettings,
  onCompletions: (completions: readonly RawCompletion[]) => void,
): Job | number {
  const bytes = completionStruct.allocate(batch);
  return startJob(library().zc_channel_start, channelStruct, { ...settings }, (handle) => {
    let taken: number;
    do {
      taken = library().zc_channel_take(handle, bytes, batch);
      if (taken > 0) onCompletions(completionStruct.unpackAll(bytes, taken));
    } while (taken === batch);
  });
}

/** Address and size of each part: struct zc_part. Views of no length have no address. */
const parts = new BigUint64Array(2 * channelPartsMax);

/** Queues a write of up to channelPartsMax views, which must stay alive. Returns 0, or -errno. */
export function writeChannel(job: Job, tag: number, views: readonly Uint8Array[]): number {
  if (job.handle === 0) return -EPIPE;
  for (const [index, view] of views.entries()) {
    parts[2 * index] = view.byteLength > 0 ? BigInt(ptr(view)) : 0n;
    parts[2 * index + 1] = BigInt(view.byteLength);
  }
  return library().zc_channel_write(job.handle, tag, parts, views.length);
}

/** No more writes: the job ends once all are complete. */
export function endChannel(job: Job): void {
  if (job.handle !== 0) library().zc_channel_end(job.handle);
}
