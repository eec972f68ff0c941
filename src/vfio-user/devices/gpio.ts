/**
 * Sixteen pins, as an ACCES PCI-IDIO-16 has them. Each output is wired to an input that is high
 * unless the output was raised once or twice since; libvfio-user's sample of the same name does so too.
 */
import {
  type Bus,
  type CallbackRegion,
  pciInterrupts,
  type VirtualDevice,
} from "../server/device.ts";
import { PciConfig } from "./pci-config.ts";

const barSize = 256;
const pins = 16;

/** In BAR 2; a byte each. */
const register = {
  outputs: [0, 4] as number[],
  /** Written: the interrupt is seen to. */
  inputs: [1, 5] as number[],
  /** Read: interrupts are on; written: off. */
  control: 2,
  status: 6,
} as const;
/** Of the status: it is this device that has interrupted. */
const interrupted = 7;

export class GpioDevice implements VirtualDevice {
  readonly name = "gpio";
  readonly isPci = true;
  readonly interrupts = { [pciInterrupts.intx]: 1 };
  readonly regions: VirtualDevice["regions"];
  readonly #config = new PciConfig({
    vendor: 0x494f,
    device: 0x0dc8,
    hasIntx: true,
    bars: { 2: { size: barSize, kind: "io" } },
  });
  readonly #raised = new Uint32Array(pins);
  #isOn = true;
  #isPending = false;
  #bus: Bus | undefined;

  constructor() {
    const bar: CallbackRegion = {
      size: barSize,
      read: (offset, count) =>
        Uint8Array.from({ length: count }, (_, at) => this.#get(offset + at)),
      write: (offset, bytes) => {
        for (const [at, value] of bytes.entries()) this.#set(offset + at, value);
      },
    };
    this.regions = { 2: bar, 7: this.#config };
  }

  attached(bus: Bus): void {
    this.#bus = bus;
  }

  detached(): void {
    this.#bus = undefined;
  }

  reset(): void {
    this.#config.reset();
    this.#raised.fill(0);
    this.#isOn = true;
    this.#isPending = false;
  }

  #get(offset: number): number {
    if (offset === register.control) this.#isOn = true;
    if (offset === register.status) return this.#isPending ? interrupted : 0;
    const group = register.inputs.indexOf(offset);
    return group < 0 ? 0 : this.#inputs(group);
  }

  #set(offset: number, value: number): void {
    if (offset === register.control) this.#isOn = false;
    if (offset === register.inputs[0]) this.#isPending = false;
    const group = register.outputs.indexOf(offset);
    if (group < 0) return;
    const before = this.#inputs(group);
    for (let pin = 0; pin < 8; pin++)
      if ((value >> pin) & 1)
        this.#raised[group * 8 + pin] = (this.#raised[group * 8 + pin] ?? 0) + 1;
    if (this.#inputs(group) !== before) this.#interrupt();
  }

  #inputs(group: number): number {
    const eight = this.#raised.subarray(group * 8, group * 8 + 8);
    return eight.reduce((bits, raised, pin) => bits | (raised % 3 === 0 ? 1 << pin : 0), 0);
  }

  #interrupt(): void {
    if (!this.#isOn) return;
    this.#isPending = true;
    this.#bus?.trigger(pciInterrupts.intx);
  }
}
