/** A device by what the user calls it. */
import type { MigratableDevice } from "./device.ts";
import { openKernelDevice } from "./kernel/device.ts";

/** For a device in another process; the kernel's has no use for them. */
export interface OpenOptions {
  /** Give up when it has owed data, or taken none of what there was, for so long; default 10 s. */
  readonly dataTimeoutMs?: number | undefined;
}

interface OpenCall extends OpenOptions {
  readonly signal: AbortSignal | undefined;
}

type Open = (name: string, options: OpenCall) => Promise<MigratableDevice>;

/** By what the name begins with; the kernel's have no such word before them. */
const byPrefix: Readonly<Record<string, Open>> = { "vfio-user:": openServersDevice };

/**
 * A PCI address, an mdev's UUID, /dev/vfio/devices/vfioN, a folder in /sys, or vfio-user:SOCKET.
 * Disposing gives it back. Throws USAGE, CONNECT, AUTH, UNSUPPORTED, and what vfio-user can.
 */
export function openDevice(
  name: string,
  signal?: AbortSignal,
  options: OpenOptions = {},
): Promise<MigratableDevice> {
  const prefix = Object.keys(byPrefix).find((each) => name.startsWith(each));
  const open = prefix === undefined ? undefined : byPrefix[prefix];
  return open === undefined ? openKernelDevice(name) : open(name, { ...options, signal });
}

async function openServersDevice(name: string, options: OpenCall): Promise<MigratableDevice> {
  const { openUserDevice } = await import("../vfio-user/device.ts");
  return openUserDevice(name, name.slice("vfio-user:".length), options);
}
