/** The devices of the checklist. */
import { closeSync } from "node:fs";
import { PciConfig } from "../../../../src/vfio-user/devices/pci-config.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import type { VirtualDevice } from "../../../../src/vfio-user/server/device.ts";
import { type BusDevice, busDevice } from "../server/bus-device.ts";
import { memoryFile } from "../server/client.ts";

export interface Setup {
  readonly device: BusDevice;
  /** The states that the device was led through. */
  readonly path: string[];
  /** What the device gives, and has got. */
  data: Uint8Array;
  /** What the device's functions fail with; 0: they do not. */
  errno: number;
  close(): void;
}

export type SetupName = keyof typeof makers;

const kib4 = 4096;

function setup(make: (setup: Setup) => Partial<VirtualDevice>, close = () => {}): Setup {
  const made: Omit<Setup, "device"> = { path: [], data: new Uint8Array(0), errno: 0, close };
  const whole = made as Setup;
  return Object.assign(whole, { device: busDevice(make(whole)) });
}

function migration(its: Setup): NonNullable<VirtualDevice["migration"]> {
  const fail = () => {
    if (its.errno !== 0) throw new Refusal(its.errno, "as the test wants it");
  };
  return {
    features: { stopCopy: true, p2p: false, preCopy: true },
    setState: (to) => {
      fail();
      its.path.push(to);
    },
    read: (size) => {
      fail();
      return its.data.subarray(0, size);
    },
    write: (bytes) => {
      fail();
      its.data = bytes.slice();
    },
  };
}

const config = () => new PciConfig({ vendor: 1, device: 2 });

const makers = {
  plain: () =>
    setup(() => ({
      regions: {
        0: { memory: new Uint8Array(kib4) },
        1: { memory: new Uint8Array(kib4) },
        7: config(),
      },
    })),
  migratable: () =>
    setup((its) => ({
      regions: { 7: config() },
      interrupts: { 2: 2048 },
      migration: migration(its),
      masked: ({ index, start, count, isMasked }) =>
        void its.path.push(`mask ${index}.${start}+${count} ${isMasked}`),
    })),
  mappable: () => {
    const fd = memoryFile(0x10000);
    const offsets = Array.from({ length: 9 }, (_, at) => 0x1000n * BigInt(at + 1));
    const two = [
      { offset: 0x2000n, size: 0x1000n },
      { offset: 0x4000n, size: 0x2000n },
    ];
    const many = offsets.map((offset) => ({ offset, size: 0x1000n }));
    return setup(
      () => ({
        regions: {
          1: { memory: new Uint8Array(kib4) },
          2: { memory: new Uint8Array(0x8000), mapping: { fd, offset: 0x8000, areas: two } },
          3: { memory: new Uint8Array(0x10000), mapping: { fd, areas: many } },
          5: { memory: new Uint8Array(0x8000) },
          7: config(),
        },
      }),
      () => closeSync(fd),
    );
  },
  large: () =>
    setup(() => ({
      regions: {
        2: { size: 2 ** 32, read: (_, count) => new Uint8Array(count) },
        4: { size: 2 ** 33, read: (_, count) => new Uint8Array(count) },
        7: new PciConfig({
          ...{ vendor: 1, device: 2 },
          bars: { 2: { size: 2 ** 32, kind: "memory64" }, 4: { size: 2 ** 33, kind: "memory64" } },
        }),
      },
    })),
  bars: () =>
    setup(() => ({
      regions: {
        7: new PciConfig({
          ...{ vendor: 1, device: 2, hasIntx: true },
          bars: {
            0: { size: 4096, kind: "io" },
            1: { size: 8192, kind: "memory" },
            2: { size: 1 << 20, kind: "memory64" },
            4: { size: 1 << 30, kind: "memory64", prefetchable: true },
          },
        }),
      },
      interrupts: { 0: 1 },
    })),
  capabilities: () =>
    setup(() => ({
      regions: {
        7: new PciConfig({
          ...{ vendor: 1, device: 2 },
          capabilities: [
            // Power management: its control and status can be written.
            { id: 1, body: new Uint8Array(6), writable: Uint8Array.of(0, 0, 0x03, 0x1f) },
            { id: 9, body: Uint8Array.of(6, ...[..."abc"].map((each) => each.charCodeAt(0))) },
            // MSI of 16 vectors: enable, and how many are used; addresses and data.
            {
              id: 5,
              body: Uint8Array.of(8, ...new Uint8Array(21)),
              writable: Uint8Array.of(0x71, 0, ...new Uint8Array(20).fill(255)),
            },
            // MSI-X: mask all, and enable.
            { id: 17, body: new Uint8Array(10), writable: Uint8Array.of(0, 0xc0) },
          ],
        }),
      },
    })),
  /** Its functions reach into the client's memory. */
  reaching: () =>
    setup((its) => {
      const reach = async () => {
        its.data = await its.device.bus.read(0x10000n, 4);
      };
      const reset = (reason: string) => (reason === "asked" ? reach() : undefined);
      return { migration: { ...migration(its), setState: reach }, reset };
    }),
} as const;

export const setups: Readonly<Record<SetupName, () => Setup>> = makers;
