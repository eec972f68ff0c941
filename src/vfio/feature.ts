/**
 * VFIO_DEVICE_FEATURE of linux/vfio.h: what an ioctl(2) of the kernel's and a message of vfio-user's
 * have in common. The kernel's DMA logging structs end in a pointer more, to what vfio-user has inline.
 */
import { RecordLayout } from "./record.ts";

/** By name, the index in the low bits of the flags. */
export const features = {
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7,
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
} as const;

/** VFIO_DEVICE_FEATURE_MASK */
export const featureMask = 0xffff;

/** GET and SET exclude each other, but for a PROBE. */
export const featureFlags = { GET: 1 << 16, SET: 1 << 17, PROBE: 1 << 18 } as const;

/** VFIO_MIGRATION_* */
export const migrationFlags = { STOP_COPY: 1n << 0n, P2P: 1n << 1n, PRE_COPY: 1n << 2n } as const;

/** struct vfio_device_feature, before its data; `argsz` counts them with it. Bytes. */
export const featureHeader = new RecordLayout({ argsz: "u32", flags: "u32" });

/** struct vfio_device_feature_migration */
export const featureMigration = new RecordLayout({ flags: "u64" });

/** struct vfio_device_feature_mig_state; `data_fd` is -1 where there is none, as always in vfio-user. */
export const featureMigState = new RecordLayout({ device_state: "u32", data_fd: "i32" });

/** struct vfio_device_feature_dma_logging_control, before its ranges. */
export const featureDmaLoggingControl = new RecordLayout({
  page_size: "u64",
  num_ranges: "u32",
  reserved: "u32",
});

/** struct vfio_device_feature_dma_logging_range; bytes. */
export const featureDmaLoggingRange = new RecordLayout({ iova: "u64", length: "u64" });

/** struct vfio_device_feature_dma_logging_report, before its bitmap; bytes. */
export const featureDmaLoggingReport = new RecordLayout({
  iova: "u64",
  length: "u64",
  page_size: "u64",
});

/** struct vfio_device_feature_mig_data_size; bytes. Not in vfio-user. */
export const featureMigDataSize = new RecordLayout({ stop_copy_length: "u64" });
