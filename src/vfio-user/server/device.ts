/**
 * What a device is to the server: everything that makes it this device, and nothing of vfio-user's
 * messages. Any function may return a promise: the next request waits until it has resolved. One
 * that throws a Refusal has the client get its errno; of anything else that is thrown it gets EIO.
 */
import type { AddressRange, MigrationFeatures } from "../../vfio/device.ts";
import type { DeviceState } from "../../vfio/states.ts";
import type { SparseArea } from "../protocol/region-info.ts";

export { pciInterrupts, pciRegions } from "../../vfio/pci.ts";

export interface VirtualDevice {
  /** For who looks on. */
  readonly name: string;
  /** Whether regions and interrupts are those of a PCI device, which has all of them. */
  readonly isPci: boolean;
  /** By index; what is not there has no bytes. */
  readonly regions: Readonly<Record<number, DeviceRegion>>;
  /** How many interrupts, by index. A PCI device has one error and one request interrupt at least. */
  readonly interrupts?: Readonly<Record<number, number>>;
  readonly migration?: DeviceMigration;
  /** A client has come: the bus is its memory and its interrupts, until `detached`. */
  attached?(bus: Bus): void | Promise<void>;
  /** The client is gone, after a reset; nothing of the bus works any more. */
  detached?(): void | Promise<void>;
  reset?(reason: ResetReason): void | Promise<void>;
  /** The client wants, or no longer wants, interrupts of an index held back. */
  masked?(irq: { index: number; start: number; count: number; isMasked: boolean }): void;
}

export type ResetReason = "asked" | "disconnected";

export type DeviceRegion = MemoryRegion | CallbackRegion;

interface RegionRights {
  /** true unless said otherwise. */
  readonly readable?: boolean;
  /** true unless said otherwise. */
  readonly writable?: boolean;
}

/** Bytes that are all there is to the region: messages are answered without asking the device. */
export interface MemoryRegion extends RegionRights {
  /** Must stay as long as a client is attached. */
  readonly memory: Uint8Array;
  /** Is given what is written, instead of the memory, and changes that as the device would. */
  readonly write?: CallbackRegion["write"];
  /** A bit for each 4096 bytes that a message has written, the lowest first. The device clears them. */
  readonly dirty?: BigUint64Array;
  /** The client may map it, and then writes it unseen. */
  readonly mapping?: RegionMapping;
}

export interface RegionMapping {
  /** Of a file of a size that nobody can change; stays the device's. */
  readonly fd: number;
  /** Where the region begins in the file; bytes, 0 unless said otherwise. */
  readonly offset?: number;
  /** What of the region can be mapped; all of it unless said otherwise. */
  readonly areas?: readonly SparseArea[];
}

/** Never called beyond `size`, nor with 0 bytes. */
export interface CallbackRegion extends RegionRights {
  /** Bytes. */
  readonly size: number;
  /** So many bytes; undefined: nobody can read. */
  readonly read?: (offset: number, count: number) => Uint8Array | Promise<Uint8Array>;
  /** The bytes are borrowed for the call; undefined: nobody can write. */
  readonly write?: (offset: number, bytes: Uint8Array) => void | Promise<void>;
}

/** linux/vfio.h, "VFIO migration". */
export interface DeviceMigration {
  readonly features: MigrationFeatures;
  /** One arc. A device that refuses it stays where it is. */
  setState(to: DeviceState, from: DeviceState): void | Promise<void>;
  /**
   * In PRE_COPY and STOP_COPY: the next bytes of its state, borrowed until they are sent. Fewer than
   * `size`: there is no more for now, or at all.
   */
  read(size: number): Uint8Array | Promise<Uint8Array>;
  /** In RESUMING: the next bytes of another one's; borrowed for the call. */
  write(bytes: Uint8Array): void | Promise<void>;
}

/** What a device can do to its client. */
export interface Bus {
  /**
   * Of the client's memory. Throws Refusal: ENOENT where none is mapped, EACCES where it may not,
   * EFAULT where the client has taken it away, or what the client says.
   */
  read(address: bigint, size: number, options?: DmaOptions): Promise<Uint8Array>;
  /** Likewise; while the client logs what is written, it is told of these. */
  write(address: bigint, bytes: Uint8Array, options?: DmaOptions): Promise<void>;
  /** Of the client's memory, what is mapped now, by address. */
  maps(): readonly AddressRange[];
  /** Signals an interrupt; false: the client listens to none. */
  trigger(index: number, subindex?: number): boolean;
}

export interface DmaOptions {
  /** The client is asked, even where it gave a file; what is written then, it notes itself. */
  readonly byMessages?: boolean | undefined;
}

/** Bytes. */
export function regionSize(region: DeviceRegion | undefined): number {
  if (region === undefined) return 0;
  return "memory" in region ? region.memory.length : region.size;
}

export function isReadable(region: DeviceRegion): boolean {
  return (region.readable ?? true) && ("memory" in region || region.read !== undefined);
}

export function isWritable(region: DeviceRegion): boolean {
  return (region.writable ?? true) && ("memory" in region || region.write !== undefined);
}
