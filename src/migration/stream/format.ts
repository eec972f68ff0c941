/**
 * The numbers of QEMU's migration stream: migration/savevm.c, qemu-file-types.h, migration/ram.c,
 * migration/multifd.h of QEMU 10.2. All integers are big-endian.
 */

export const magic = 0x5145564d; // "QEVM"
export const version = 3;

export const sectionType = {
  eof: 0x00,
  start: 0x01,
  part: 0x02,
  end: 0x03,
  full: 0x04,
  subsection: 0x05,
  description: 0x06,
  configuration: 0x07,
  command: 0x08,
  footer: 0x7e,
} as const;

/** By number. */
export const commandNames: Readonly<Record<number, string>> = {
  1: "open-return-path",
  2: "ping",
  3: "postcopy-advise",
  4: "postcopy-listen",
  5: "postcopy-run",
  6: "postcopy-ram-discard",
  7: "packaged",
  8: "enable-colo",
  9: "postcopy-resume",
  10: "recv-bitmap",
  11: "switchover-start",
};

/** Bytes that a command can have. */
export const commandLengths: Readonly<Record<number, readonly number[] | "any">> = {
  1: [0],
  2: [4],
  3: [0, 16],
  4: [0],
  5: [0],
  6: "any",
  7: [4],
  8: [0],
  9: [0],
  10: "any",
  11: [0],
};

export const commandNumber = { advise: 3, packaged: 7 } as const;

/** In the low bits of a RAM record's word. */
export const ramFlag = { zero: 0x002, sizes: 0x004, page: 0x008, eos: 0x010 } as const;
export const ramVersion = 4;
export const pageSizeDefault = 4096;

/** What a stream may have at most; more is malformed, not memory. */
export const limits = {
  /** Before the stream. */
  libvirt: 1 << 20,
  machineName: 256,
  capabilities: 64,
  /** All of a device's bytes; a virtio-gpu's are the largest known. */
  section: 256 << 20,
  description: 64 << 20,
  /** Of a description's: each becomes a thousand bytes or more. */
  objects: 1 << 19,
  /** Bytes of RAM: ZC_RAM_SIZE_MAX. */
  ram: 2 ** 44,
  sections: 65_536,
  mappedBitmap: 256 << 20,
  /** Records of one section of VFIO's. */
  vfioRecords: 1 << 20,
  /** Of VFIO's in multifd's channels, of all devices; QEMU's have a megabyte each. */
  devicePackets: 1 << 20,
} as const;
