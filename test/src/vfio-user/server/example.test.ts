/** A device of one's own, as small as it can be, and what a client sees of it. */
import { createHash } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { expect, test } from "vitest";
import { RecordLayout } from "../../../../src/vfio/record.ts";
import { PciConfig } from "../../../../src/vfio-user/devices/pci-config.ts";
import { dmaRegionFlags, encodeDmaMap } from "../../../../src/vfio-user/protocol/dma.ts";
import { encodeIrqSet } from "../../../../src/vfio-user/protocol/irq.ts";
import { encodeRegionData } from "../../../../src/vfio-user/protocol/region.ts";
import {
  decodeRegionInfo,
  encodeRegionInfoRequest,
} from "../../../../src/vfio-user/protocol/region-info.ts";
import {
  type Bus,
  pciInterrupts,
  type VirtualDevice,
} from "../../../../src/vfio-user/server/device.ts";
import { SharedMemory } from "../../../../src/vfio-user/shared-memory.ts";
import { attach, eventFd, memoryFile } from "./client.ts";

const request = new RecordLayout({ address: "u64", size: "u32" });

/** Told in BAR 0 where memory is, it puts the memory's SHA-256 into BAR 2, and interrupts. */
class DigestDevice implements VirtualDevice, Disposable {
  readonly name = "digest";
  readonly isPci = true;
  readonly interrupts = { [pciInterrupts.msix]: 1 };
  readonly regions: VirtualDevice["regions"];
  readonly #digest = new SharedMemory(4096);
  #bus: Bus | undefined;

  constructor() {
    const bars = {
      0: { size: 16, kind: "memory" },
      2: { size: 4096, kind: "memory" },
    } as const;
    this.regions = {
      0: { size: 16, write: (_, bytes) => this.#work(bytes) },
      2: { memory: this.#digest.bytes, writable: false, mapping: { fd: this.#digest.fd } },
      7: new PciConfig({ vendor: 0x1234, device: 1, bars }),
    };
  }

  attached(bus: Bus): void {
    this.#bus = bus;
  }

  detached(): void {
    this.#bus = undefined;
  }

  async #work(bytes: Uint8Array): Promise<void> {
    const { address, size } = request.decode(bytes);
    const memory = await this.#bus?.read(address, size);
    this.#digest.bytes.set(
      createHash("sha256")
        .update(memory ?? "")
        .digest(),
    );
    this.#bus?.trigger(pciInterrupts.msix);
  }

  [Symbol.dispose](): void {
    this.#digest[Symbol.dispose]();
  }
}

test("a device that reads guest memory, interrupts, and has a region to map", async () => {
  using device = new DigestDevice();
  await using client = await attach(device);
  const file = memoryFile(8192);
  const irq = eventFd();
  const flags = dmaRegionFlags.READ | dmaRegionFlags.MMAP;
  await client.get("DMA_MAP", encodeDmaMap({ flags, offset: 0n, addr: 0x10000n, size: 8192n }), [
    file,
  ]);
  const set = { data: "eventfd", action: "trigger", index: 2, start: 0, count: 1 } as const;
  await client.get("DEVICE_SET_IRQS", encodeIrqSet(set), [irq.fd]);
  const data = request.encode({ address: 0x10100n, size: 1000 });
  await client.get("REGION_WRITE", encodeRegionData({ region: 0, offset: 0n, data }));
  expect(irq.count()).toBe(1);

  const reply = await client.ask(
    "DEVICE_GET_REGION_INFO",
    encodeRegionInfoRequest({ index: 2, argsz: 256 }),
  );
  if (typeof reply === "string") throw new Error(reply);
  expect(decodeRegionInfo(reply.payload).areas).toEqual([{ offset: 0n, size: 4096n }]);
  const digest = Buffer.alloc(32);
  const [fd = -1] = reply.fds ?? [];
  readSync(fd, digest, 0, 32, 0);
  const memory = Uint8Array.from({ length: 1000 }, (_, at) => 0x100 + at);
  expect(digest.toString("hex")).toBe(createHash("sha256").update(memory).digest("hex"));
  for (const each of [fd, file, irq.fd]) closeSync(each);
});
