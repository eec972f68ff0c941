/** What linux/vfio.h and linux/iommufd.h number and lay out, as far as migration needs it. */
import { RecordLayout } from "../record.ts";

/** _IO(';', …): no direction, no size. */
const vfio = (number: number) => 0x3b64 + number;
const iommu = (number: number) => 0x3b00 + number;

export const request = {
  checkExtension: vfio(1),
  setIommu: vfio(2),
  groupStatus: vfio(3),
  groupSetContainer: vfio(4),
  groupDevice: vfio(6),
  deviceInfo: vfio(7),
  reset: vfio(11),
  feature: vfio(17),
  bindIommufd: vfio(18),
  attachIommufd: vfio(19),
  precopyInfo: vfio(21),
  allocateAddressSpace: iommu(0x81),
} as const;

/** VFIO_SET_IOMMU, the one to prefer first. */
export const iommuTypes = { type1v2: 3, type1: 1, noIommu: 8 } as const;

/** struct vfio_group_status */
export const groupStatusRecord = new RecordLayout({ argsz: "u32", flags: "u32" });
/** Every device of the group is bound to a vfio driver, or to none. */
export const groupViable = 1;

/** struct vfio_device_info */
export const deviceInfoRecord = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  regions: "u32",
  irqs: "u32",
});
export const deviceFlag = { reset: 1, pci: 2 } as const;

/** struct vfio_device_bind_iommufd, as it was before tokens */
export const bindRecord = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  iommufd: "i32",
  device: "u32",
});
/** struct vfio_device_attach_iommufd_pt */
export const attachRecord = new RecordLayout({ argsz: "u32", flags: "u32", addressSpace: "u32" });
/** struct iommu_ioas_alloc */
export const addressSpaceRecord = new RecordLayout({ size: "u32", flags: "u32", id: "u32" });

/** VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2: vfio-user has none. */
export const precopyInfo2 = 12;

/** A user's address, with which the kernel's structs for DMA logging end. */
export const pointerRecord = new RecordLayout({ address: "u64" });

/** struct vfio_precopy_info */
export const precopyInfoRecord = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  initialBytes: "u64",
  dirtyBytes: "u64",
});
