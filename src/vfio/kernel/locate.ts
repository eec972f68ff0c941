/** Where the kernel has a device: its folder in sysfs, and the nodes through which VFIO gives it. */
import { existsSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { usageError, ZcError } from "../../errors.ts";

export interface Located {
  /** What the bus calls it: a PCI address, a UUID. */
  readonly name: string;
  readonly driver: string | undefined;
  /** A node of its own, for iommufd; undefined: this kernel makes none. */
  readonly device: string | undefined;
  /** The node of its IOMMU group; undefined: likewise. */
  readonly group: string | undefined;
}

const pciAddress = /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const deviceNode = /^\/dev\/vfio\/devices\/(vfio\d+)$/;

/**
 * A device by its node, PCI address, mdev UUID or folder in sysfs. `root` is what the paths begin
 * with. Throws USAGE for what is none of them, CONNECT where there is no such device, UNSUPPORTED
 * where it is not VFIO's.
 */
export function locate(text: string, root = ""): Located {
  const folder = join(root, folderOf(text));
  if (!existsSync(folder)) throw missing(text, root);
  const path = realpathSync(folder);
  const name = basename(path);
  const nodes = { device: deviceNodeOf(path, root), group: groupNodeOf(path, root) };
  const driver = linkName(join(path, "driver"));
  if (nodes.device === undefined && nodes.group === undefined)
    throw hasVfio(root) ? unbound(name, driver) : withoutVfio(text);
  return { name, driver, ...nodes };
}

/**
 * Every device that VFIO has, by its name on the bus, without opening any; undefined where there is no
 * VFIO. Kernels before 6.1 list none.
 */
export function listDevices(root = ""): readonly string[] | undefined {
  if (!hasVfio(root)) return undefined;
  const folder = join(root, "/sys/class/vfio-dev");
  const names = list(folder).flatMap((name) => linkTarget(join(folder, name, "device")) ?? []);
  return names.sort();
}

function folderOf(text: string): string {
  const node = deviceNode.exec(text)?.[1];
  if (node !== undefined) return `/sys/class/vfio-dev/${node}/device`;
  if (text.startsWith("/sys/")) return text;
  if (uuid.test(text)) return `/sys/bus/mdev/devices/${text.toLowerCase()}`;
  if (pciAddress.test(text)) return `/sys/bus/pci/devices/${withDomain(text.toLowerCase())}`;
  const hint = "/dev/vfio/devices/vfio0, 0000:01:00.0, an mdev's UUID, a folder in /sys";
  throw usageError(text || '""', "it names no device", hint);
}

function withDomain(address: string): string {
  return address.split(":").length === 2 ? `0000:${address}` : address;
}

/** Only where there is an iommufd to bind it to. */
function deviceNodeOf(path: string, root: string): string | undefined {
  const [name] = list(join(path, "vfio-dev"));
  if (name === undefined || !existsSync(join(root, iommuNode))) return undefined;
  return existing(join(root, "/dev/vfio/devices", name));
}

export const iommuNode = "/dev/iommu";
export const containerNode = "/dev/vfio/vfio";

function groupNodeOf(path: string, root: string): string | undefined {
  const group = linkName(join(path, "iommu_group"));
  if (group === undefined) return undefined;
  const nodes = [group, `noiommu-${group}`].map((name) => join(root, "/dev/vfio", name));
  return nodes.find((node) => existsSync(node));
}

function hasVfio(root: string): boolean {
  return [containerNode, "/sys/class/vfio-dev"].some((path) => existsSync(join(root, path)));
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

function linkTarget(path: string): string | undefined {
  return existsSync(path) ? basename(realpathSync(path)) : undefined;
}

function linkName(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch {
    return undefined;
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function missing(text: string, root: string): ZcError {
  if (!hasVfio(root)) return withoutVfio(text);
  return new ZcError({
    code: "CONNECT",
    operation: "find",
    subject: text,
    reason: "there is no such device",
  });
}

function withoutVfio(text: string): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "open",
    subject: text,
    reason: "this kernel has no VFIO, or its modules are not loaded",
    hint: "modprobe vfio-pci; a kernel that has it says CONFIG_VFIO",
  });
}

function unbound(name: string, driver: string | undefined): ZcError {
  const vfio = "vfio-pci, or its maker's vfio driver, which alone can migrate it";
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "open",
    subject: name,
    reason: `no vfio driver has it, but ${driver === undefined ? "none" : driver}`,
    ...(pciAddress.test(name) && { hint: `driverctl set-override ${name} ${vfio}` }),
  });
}
