/**
 * The configuration space of a PCI device with a header of type 0: PCI Local Bus Specification 3.0,
 * chapter 6. Registers keep what may be written to them; the rest of a write has no effect.
 */
import type { MemoryRegion } from "../server/device.ts";

export interface PciBar {
  /** Bytes, a power of two: 4 at least, of memory 16. */
  readonly size: number;
  /** "memory64" takes the next BAR too. */
  readonly kind: "io" | "memory" | "memory64";
  readonly prefetchable?: boolean;
}

export interface PciCapability {
  readonly id: number;
  /** What follows its id and the next one's place. */
  readonly body: Uint8Array;
  /** The bits of the body that can be written; none unless said otherwise. */
  readonly writable?: Uint8Array;
}

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** Base class, subclass and interface: 0x050000. */
  readonly classCode?: number;
  readonly revision?: number;
  /** It has an INTx: INTA#. */
  readonly hasIntx?: boolean;
  /** By number, 0 to 5. */
  readonly bars?: Readonly<Record<number, PciBar>>;
  readonly capabilities?: readonly PciCapability[];
}

/** Region 7 of a device. */
export class PciConfig implements MemoryRegion {
  readonly memory = new Uint8Array(configSize);
  readonly #initial = new Uint8Array(configSize);
  readonly #writable = new Uint8Array(configSize);

  /** Throws RangeError for what has no place in it. */
  constructor(identity: PciIdentity) {
    const view = new DataView(this.#initial.buffer);
    view.setUint16(register.vendor, identity.vendor, true);
    view.setUint16(register.device, identity.device, true);
    view.setUint32(register.revision, (identity.classCode ?? 0) * 0x100, true);
    view.setUint8(register.revision, identity.revision ?? 0);
    view.setUint16(register.subsystemVendor, identity.subsystemVendor ?? 0, true);
    view.setUint16(register.subsystem, identity.subsystem ?? 0, true);
    view.setUint8(register.interruptPin, identity.hasIntx ? 1 : 0);
    const mask = new DataView(this.#writable.buffer);
    mask.setUint16(register.command, commandBits, true);
    for (const at of [register.cacheLine, register.latency, register.interruptLine])
      mask.setUint8(at, 0xff);
    for (const [number, bar] of Object.entries(identity.bars ?? {})) {
      const at = register.bar0 + 4 * Number(number);
      view.setUint32(at, kindBits(bar), true);
      const bits = ~BigInt(bar.size - 1) & (bar.kind === "io" ? ~3n : ~15n);
      if (bar.kind === "memory64") mask.setBigUint64(at, BigInt.asUintN(64, bits), true);
      else mask.setUint32(at, Number(BigInt.asUintN(32, bits)), true);
    }
    this.#addCapabilities(identity.capabilities ?? []);
    this.reset();
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const [index, value] of bytes.entries()) {
      const at = offset + index;
      const mask = this.#writable[at] ?? 0;
      this.memory[at] = ((this.memory[at] ?? 0) & ~mask) | (value & mask);
    }
  }

  reset(): void {
    this.memory.set(this.#initial);
  }

  #addCapabilities(capabilities: readonly PciCapability[]): void {
    let link: number = register.capabilities;
    let at = headerSize;
    for (const { id, body, writable = new Uint8Array(body.length) } of capabilities) {
      this.#initial[link] = at;
      this.#initial[at] = id;
      link = at + 1;
      this.#initial.set(body, at + 2);
      this.#writable.set(writable, at + 2);
      at = (at + 2 + body.length + 3) & ~3;
    }
    if (capabilities.length > 0) this.#initial[register.status] = hasCapabilities;
  }
}

const configSize = 256;
const headerSize = 64;

const register = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  cacheLine: 0x0c,
  latency: 0x0d,
  bar0: 0x10,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

/** I/O, memory, bus master, write and invalidate, parity, SERR#, interrupt disable. */
const commandBits = 0x0557;
const hasCapabilities = 0x10;

function kindBits({ kind, prefetchable }: PciBar): number {
  if (kind === "io") return 1;
  return (kind === "memory64" ? 4 : 0) | (prefetchable ? 8 : 0);
}
