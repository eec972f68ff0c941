/** One ioctl(2) of a VFIO descriptor, on a thread of its own: a device can take its time. */
import { ptr } from "bun:ffi";
import { startJob } from "../../../ffi/job.ts";
import { library } from "../../../ffi/library.ts";
import { vfioStruct } from "../../../ffi/structs.ts";
import { started } from "../../run-job.ts";
import { featureHeader } from "../feature.ts";
import { joinBytes } from "../record.ts";
import { request } from "./uapi.ts";

/** What it returned, or -errno. `argument`: a number, or a struct, which the kernel may change. */
export async function call(
  fd: number,
  number: number,
  argument: number | Uint8Array = 0,
): Promise<number> {
  const address = typeof argument === "number" ? argument : ptr(argument);
  const options = { fd, request: number, argument: address };
  const job = started(startJob(library().zc_vfio_start, vfioStruct, options), "call a device");
  const { error, bytes } = await job.ended;
  keep(argument);
  return error === 0 ? bytes : -error;
}

/**
 * VFIO_DEVICE_FEATURE: what the feature's struct has become, or -errno. `flags` are of featureFlags.
 * ENOTTY: the device does not have it.
 */
export async function callFeature(
  fd: number,
  number: number,
  flags: number,
  value: Uint8Array = new Uint8Array(0),
): Promise<Uint8Array | number> {
  const argsz = featureHeader.size + value.length;
  const bytes = joinBytes(featureHeader.encode({ argsz, flags: flags | number }), value);
  const result = await call(fd, request.feature, bytes);
  return result < 0 ? result : bytes.subarray(featureHeader.size);
}

/** Alive until here: the kernel was given its address. */
export function keep(_value: unknown): void {}
