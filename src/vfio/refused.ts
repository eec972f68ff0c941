/** What it means when a device says no to what it was given as its state. */
import { constants as osConstants } from "node:os";
import { type ErrorCode, ZcError } from "../errors.ts";

const { EIO, ENODEV, ENXIO, EBUSY, ETIMEDOUT, ENOTTY } = osConstants.errno;

/** It failed by itself, whatever it was given. */
const failures: ReadonlySet<number> = new Set<number>([
  ...[EIO, ENODEV, ENXIO, EBUSY, ETIMEDOUT, ENOTTY],
]);

/** The kernel's device refused a write; no mover could write as much as one byte; a server's refused. */
const ofDevice: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(["WRITE_SINK", "UNSUPPORTED", "DEVICE"] as const),
]);

/** The error of a write to a device, or of the change that ends it: PROTOCOL for bad data. */
export function resumeError(subject: string, error: unknown): unknown {
  if (!(error instanceof ZcError) || error.errno === undefined) return error;
  if (!ofDevice.has(error.code) || failures.has(error.errno)) return error;
  return new ZcError({
    ...{ code: "PROTOCOL", operation: "resume", subject, errno: error.errno },
    reason: "it does not take this as its state",
    hint: "is it whole, and of the same kind of device and driver?",
  });
}
