/** A PCI device's regions and interrupts, as linux/vfio.h numbers them, and who it says it is. */

/** VFIO_PCI_*_REGION_INDEX */
export const pciRegions = {
  ...{ bar0: 0, bar1: 1, bar2: 2, bar3: 3, bar4: 4, bar5: 5 },
  ...{ rom: 6, config: 7, vga: 8 },
} as const;
/** VFIO_PCI_*_IRQ_INDEX */
export const pciInterrupts = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;

/** By index. */
export const pciRegionNames = Object.keys(pciRegions);
export const pciInterruptNames = Object.keys(pciInterrupts);

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass and programming interface, 8 bits each. */
  readonly class: number;
  readonly revision: number;
}

/** Bytes of the configuration space that it takes. */
export const pciIdentitySize = 16;

/** From the begin of the configuration space: PCI Local Bus Specification, "Device Identification". */
export function decodePciIdentity(config: Uint8Array): PciIdentity {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  return {
    vendor: view.getUint16(0, true),
    device: view.getUint16(2, true),
    class: view.getUint32(8, true) >>> 8,
    revision: view.getUint8(8),
  };
}
