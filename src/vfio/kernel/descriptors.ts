/** The descriptor of a device, got in either way: by its own node and iommufd, or by its group. */
import { close, openSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { type ErrorCode, errnoName, errnoOf, ZcError } from "../../errors.ts";
import { call } from "./call.ts";
import { containerNode, iommuNode, type Located } from "./locate.ts";
import {
  addressSpaceRecord,
  attachRecord,
  bindRecord,
  groupStatusRecord,
  groupViable,
  iommuTypes,
  request,
} from "./uapi.ts";

export interface DeviceDescriptor {
  readonly fd: number;
  /** Gives the device back, which can take as long as a reset. */
  close(): Promise<void>;
}

/** Nobody else can have the device open meanwhile. Throws CONNECT, AUTH, UNSUPPORTED. */
export async function openDescriptor(located: Located): Promise<DeviceDescriptor> {
  const opened: number[] = [];
  const opening: Opening = {
    open: (path) => {
      const fd = openNode(path);
      opened.unshift(fd);
      return fd;
    },
    keep: (fd) => opened.unshift(fd),
  };
  const end = async () => {
    for (const fd of opened.splice(0)) await closed(fd);
  };
  try {
    const { device, group = "" } = located;
    const fd =
      device === undefined
        ? await openByGroup(located.name, group, opening)
        : await openByNode(device, opening);
    return { fd, close: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What is opened on the way is closed with the device: last opened, first closed. */
interface Opening {
  readonly open: (path: string) => number;
  readonly keep: (fd: number) => void;
}

/** Documentation/driver-api/vfio.rst, "IOMMUFD and vfio_iommu_type1": into an empty address space. */
async function openByNode(node: string, { open }: Opening): Promise<number> {
  const iommufd = open(iommuNode);
  const fd = open(node);
  const bind = bindRecord.encode({ argsz: bindRecord.size, iommufd });
  assert(await call(fd, request.bindIommufd, bind), "bind to iommufd", node);
  const space = addressSpaceRecord.encode({ size: addressSpaceRecord.size });
  const spaceMade = await call(iommufd, request.allocateAddressSpace, space);
  assert(spaceMade, "make an address space in", iommuNode);
  const { id } = addressSpaceRecord.decode(space);
  const attach = attachRecord.encode({ argsz: attachRecord.size, addressSpace: id });
  assert(await call(fd, request.attachIommufd, attach), "attach to iommufd", node);
  return fd;
}

/** Documentation/driver-api/vfio.rst, "VFIO Usage Example". */
async function openByGroup(name: string, node: string, opening: Opening): Promise<number> {
  const container = opening.open(containerNode);
  const group = opening.open(node);
  const status = groupStatusRecord.encode({ argsz: groupStatusRecord.size });
  assert(await call(group, request.groupStatus, status), "look at", node);
  if ((groupStatusRecord.decode(status).flags & groupViable) === 0) throw notViable(name, node);
  const containerFd = new Uint8Array(new Int32Array([container]).buffer);
  assert(await call(group, request.groupSetContainer, containerFd), "open", node);
  assert(await setIommu(container), "set the IOMMU of", node);
  const fd = await call(group, request.groupDevice, new TextEncoder().encode(`${name}\0`));
  assert(fd, "open", name);
  opening.keep(fd);
  return fd;
}

/** With the first type that the container has. */
async function setIommu(container: number): Promise<number> {
  let result = 0;
  for (const type of Object.values(iommuTypes)) {
    if ((await call(container, request.checkExtension, type)) <= 0) continue;
    result = await call(container, request.setIommu, type);
    if (result >= 0) return result;
  }
  return result < 0 ? result : -ENODEV;
}

const { ENODEV } = osConstants.errno;

function openNode(path: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    throw refused("open", path, errnoOf(error));
  }
}

function assert(result: number, operation: string, subject: string): void {
  if (result < 0) throw refused(operation, subject, -result);
}

function refused(operation: string, subject: string, errno: number | undefined): ZcError {
  const name = errno === undefined ? "" : errnoName(errno);
  const code: ErrorCode = name === "EACCES" || name === "EPERM" ? "AUTH" : "CONNECT";
  return new ZcError({ code, operation, subject, errno, hint: hints(subject)[name] });
}

function hints(subject: string): Partial<Record<string, string>> {
  const allow = `sudo chown $USER ${subject}, or run zc as root`;
  return {
    EACCES: allow,
    EPERM: allow,
    EBUSY: "somebody else has it open: a virtual machine?",
    ENODEV: "modprobe vfio_iommu_type1",
  };
}

function notViable(name: string, node: string): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "open",
    subject: name,
    reason: `other devices of its IOMMU group, ${node}, have drivers that are not VFIO's`,
    hint: `bind them too: ls /sys/kernel/iommu_groups/${node.replace(/.*\D/, "")}/devices`,
  });
}

function closed(fd: number): Promise<void> {
  return new Promise((resolve) => close(fd, () => resolve()));
}
