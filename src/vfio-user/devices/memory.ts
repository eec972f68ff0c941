/** Memory, and nothing else: a BAR of up to 4 GiB, that can be migrated while it is written. */
import type { DeviceState } from "../../vfio/states.ts";
import { type DeviceMigration, pciRegions, type VirtualDevice } from "../server/device.ts";
import { SharedMemory } from "../shared-memory.ts";
import { MemoryReader, MemoryWriter, memoryPageSize } from "./memory-stream.ts";
import { PciConfig } from "./pci-config.ts";

export interface MemoryDeviceOptions {
  /** Bytes: a power of two, from 4096 to `memorySizeMax`. */
  readonly size: number;
  /** Bytes a second that it writes to itself, a number in each page, while it runs: or fewer. */
  readonly dirtyRate?: number | undefined;
}

const tickMs = 10;
/** Bytes: clients are answered between two. */
const tickSizeMax = 32 << 20;

/** Its contents outlive clients and resets. Owns its memory. */
export class MemoryDevice implements VirtualDevice, Disposable {
  readonly name = "memory";
  readonly isPci = true;
  readonly regions: VirtualDevice["regions"];
  readonly migration: DeviceMigration;
  readonly #config: PciConfig;
  readonly #memory: SharedMemory;
  /** Shared with C, which sets bits. */
  readonly #written: Uint32Array;
  readonly #dirtyRate: number;
  #reader: MemoryReader | undefined;
  #writer: MemoryWriter | undefined;
  #state: DeviceState = "RUNNING";
  #timer: ReturnType<typeof setInterval> | undefined;
  #nextPage = 0;
  #writes = 0;

  /** Throws UNSUPPORTED where there is no room for it. */
  constructor({ size, dirtyRate = 0 }: MemoryDeviceOptions) {
    this.#memory = new SharedMemory(size);
    this.#dirtyRate = dirtyRate;
    const bitmap = new ArrayBuffer(Math.ceil(size / memoryPageSize / 64) * 8);
    this.#written = new Uint32Array(bitmap);
    this.#config = new PciConfig({
      ...{ vendor: 0x1234, device: 0x7a63, classCode: 0x05_00_00 },
      bars: { 0: { size, kind: "memory64", prefetchable: true } },
    });
    const memory = { memory: this.#memory.bytes, dirty: new BigUint64Array(bitmap) };
    this.regions = { 0: memory, [pciRegions.config]: this.#config };
    this.migration = {
      features: { stopCopy: true, p2p: false, preCopy: true },
      setState: (to, from) => this.#setState(to, from),
      read: (bytes) => this.#reader?.read(bytes, this.#state === "STOP_COPY") ?? new Uint8Array(0),
      write: (bytes) => this.#writer?.write(bytes),
    };
  }

  attached(): void {
    if (this.#dirtyRate === 0) return;
    let last = performance.now();
    let owed = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      const due = ((now - last) / 1000) * this.#dirtyRate;
      owed = this.#isRunning ? Math.min(owed + due, tickSizeMax) : 0;
      last = now;
      for (; owed >= memoryPageSize; owed -= memoryPageSize) this.#writePage();
    }, tickMs);
  }

  detached(): void {
    clearInterval(this.#timer);
  }

  reset(): void {
    this.#config.reset();
    this.#state = "RUNNING";
    this.#reader = undefined;
    this.#writer = undefined;
  }

  /** Once no client is attached. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  get #isRunning(): boolean {
    return this.#state === "RUNNING" || this.#state === "PRE_COPY";
  }

  #setState(to: DeviceState, from: DeviceState): void {
    if (from === "RESUMING") this.#writer?.finish();
    this.#writer = to === "RESUMING" ? new MemoryWriter(this.#memory.bytes) : undefined;
    const gives = to === "PRE_COPY" || to === "STOP_COPY";
    this.#reader = gives ? (this.#reader ?? this.#startReader()) : undefined;
    this.#state = to;
  }

  #startReader(): MemoryReader {
    return new MemoryReader(this.#memory.bytes, () =>
      this.#written.map((_, word) => Atomics.exchange(this.#written, word, 0)),
    );
  }

  /** The next one gets a number that was in none. */
  #writePage(): void {
    const page = this.#nextPage;
    this.#nextPage = (page + 1) % (this.#memory.bytes.length / memoryPageSize);
    const { buffer, byteOffset } = this.#memory.bytes;
    new DataView(buffer, byteOffset + page * memoryPageSize).setFloat64(0, ++this.#writes, true);
    Atomics.or(this.#written, page >>> 5, 1 << (page & 31));
  }
}
