/**
 * The device that libvfio-user's samples/client.c expects: an alarm clock in BAR 0, memory in BAR 1,
 * and guest memory that it writes and reads whenever it has rung. All of it can be moved.
 */
import { constants } from "node:os";
import { joinBytes, RecordLayout } from "../../src/vfio/record.ts";
import type { DeviceState } from "../../src/vfio/states.ts";
import { PciConfig } from "../../src/vfio-user/devices/pci-config.ts";
import { Refusal } from "../../src/vfio-user/refusal.ts";
import {
  type Bus,
  type CallbackRegion,
  type DeviceMigration,
  type DmaOptions,
  type MemoryRegion,
  pciInterrupts,
  pciRegions,
  type VirtualDevice,
} from "../../src/vfio-user/server/device.ts";
import { SharedMemory } from "../../src/vfio-user/shared-memory.ts";

const { EINVAL, EIO, ENXIO } = constants.errno;
const pageSize = 0x1000;
const memorySize = 3 * pageSize;
/** Seconds since 1970. */
const clock = new RecordLayout({ time: "u64" });
const stateSize = memorySize + clock.size;

/** Owns its memory. */
export class SampleDevice implements VirtualDevice, Disposable {
  readonly name = "sample";
  readonly isPci = true;
  readonly interrupts = { [pciInterrupts.intx]: 1 };
  readonly regions: VirtualDevice["regions"];
  readonly migration: DeviceMigration;
  readonly #memory = new SharedMemory(memorySize);
  readonly #config = new PciConfig({
    ...{ vendor: 0xdead, device: 0xbeef, subsystemVendor: 0xcafe, subsystem: 0xbabe },
    hasIntx: true,
    bars: { 0: { size: 16, kind: "memory" }, 1: { size: 4 * pageSize, kind: "memory" } },
  });
  #alarm = 0n;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #bus: Bus | undefined;
  /** Of its state, what is to be given, or has come. */
  #moving: Uint8Array = new Uint8Array(0);

  constructor() {
    const alarm: CallbackRegion = {
      size: clock.size,
      read: () => clock.encode({ time: BigInt.asUintN(64, now() - this.#alarm) }),
      write: (_, bytes) => this.#setAlarm(bytes),
    };
    const areas = [0, 2].map((page) => ({
      offset: BigInt(page * pageSize),
      size: BigInt(pageSize),
    }));
    const memory: MemoryRegion = {
      memory: this.#memory.bytes,
      mapping: { fd: this.#memory.fd, areas },
    };
    this.regions = { 0: alarm, 1: memory, [pciRegions.config]: this.#config };
    this.migration = {
      features: { stopCopy: true, p2p: false, preCopy: true },
      setState: (to, from) => this.#setState(to, from),
      read: (size) => this.#give(size),
      write: (bytes) => {
        this.#moving = joinBytes(this.#moving, bytes).subarray(-stateSize);
      },
    };
  }

  attached(bus: Bus): void {
    this.#bus = bus;
  }

  detached(): void {
    this.#bus = undefined;
  }

  reset(): void {
    this.#config.reset();
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#memory[Symbol.dispose]();
  }

  #setAlarm(bytes: Uint8Array): void {
    if (bytes.length !== clock.size) throw new Refusal(EINVAL, "a part of a time");
    this.#alarm = clock.decode(bytes).time;
    this.#startTimer();
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ring(), Number(this.#alarm) * 1000 - Date.now());
  }

  /** That client has memory to be written directly second, and first what is to be asked for. */
  async #ring(): Promise<void> {
    const bus = this.#bus;
    bus?.trigger(pciInterrupts.intx);
    const [first, second] = bus?.maps() ?? [];
    if (bus === undefined || first === undefined || second === undefined)
      throw new Refusal(ENXIO, "the alarm rings, and there is no memory");
    await tryMemory(bus, second.address, {});
    await tryMemory(bus, first.address, { byMessages: true });
  }

  /**
   * In PRE_COPY the memory, in STOP_COPY all of it anew: that client drops what PRE_COPY gave. Of what
   * comes the end counts, and so it is right for those too that drop nothing.
   */
  #setState(to: DeviceState, from: DeviceState): void {
    if (from === "RESUMING") this.#resume(this.#moving);
    const { bytes } = this.#memory;
    const time = clock.encode({ time: this.#alarm });
    const given = { PRE_COPY: bytes.slice(), STOP_COPY: joinBytes(bytes, time) };
    this.#moving = to === "PRE_COPY" || to === "STOP_COPY" ? given[to] : new Uint8Array(0);
    const isRunning = to === "RUNNING" || to === "PRE_COPY";
    if (!isRunning) clearTimeout(this.#timer);
    else if (from !== "RUNNING" && from !== "PRE_COPY") this.#startTimer();
  }

  #give(size: number): Uint8Array {
    const given = this.#moving.subarray(0, size);
    this.#moving = this.#moving.subarray(given.length);
    return given;
  }

  #resume(state: Uint8Array): void {
    if (state.length < stateSize) throw new Refusal(EINVAL, "a part of its state");
    this.#memory.bytes.set(state.subarray(0, memorySize));
    this.#alarm = clock.decode(state, memorySize).time;
  }
}

const pieces = 4;
const pieceSize = 1024;

/** Writes by pieces, and reads half of it at once. Throws Refusal unless it is the same. */
async function tryMemory(bus: Bus, address: bigint, options: DmaOptions): Promise<void> {
  const data = crypto.getRandomValues(new Uint8Array(pieces * pieceSize));
  for (let at = 0; at < data.length; at += pieceSize)
    await bus.write(address + BigInt(at), data.subarray(at, at + pieceSize), options);
  const half = data.length / 2;
  const read = joinBytes(
    await bus.read(address, half, options),
    await bus.read(address + BigInt(half), half, options),
  );
  if (Buffer.compare(read, data) !== 0) throw new Refusal(EIO, "the client's memory lost bytes");
}

function now(): bigint {
  return BigInt(Math.floor(Date.now() / 1000));
}
