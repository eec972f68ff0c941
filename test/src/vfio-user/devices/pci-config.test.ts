import fc from "fast-check";
import { expect, test } from "vitest";
import { type PciBar, PciConfig } from "../../../../src/vfio-user/devices/pci-config.ts";

function read({ memory }: PciConfig, offset: number, count: number): Uint8Array {
  return memory.slice(offset, offset + count);
}

const bar = fc.record({
  log2: fc.integer({ min: 4, max: 40 }),
  kind: fc.constantFrom("io" as const, "memory" as const, "memory64" as const),
  prefetchable: fc.boolean(),
});

function read32(config: PciConfig, offset: number): number {
  const bytes = read(config, offset, 4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

const ones = Uint8Array.of(255, 255, 255, 255);

/** As an operating system finds it out: PCI Local Bus Specification 3.0, 6.2.5.1. */
function sizeOf(config: PciConfig, number: number): { size: bigint; bits: number } {
  const at = 0x10 + 4 * number;
  const bits = read32(config, at);
  const before = read(config, at, 8);
  config.write(at, ones);
  const isWide = (bits & 1) === 0 && (bits & 6) === 4;
  if (isWide) config.write(at + 4, ones);
  const low = BigInt(read32(config, at) & (bits & 1 ? ~3 : ~15)) & 0xffff_ffffn;
  const high = isWide ? BigInt(read32(config, at + 4)) << 32n : 0xffff_ffff_0000_0000n;
  config.write(at, before);
  return { size: low === 0n && !isWide ? 0n : BigInt.asUintN(64, -(low | high)), bits };
}

test("a BAR of any size is found, and keeps an address that is a multiple of it", () => {
  fc.assert(
    fc.property(bar, fc.constantFrom(0, 2, 4), ({ log2, kind, prefetchable }, number) => {
      const size = 2 ** (kind === "memory64" ? log2 : Math.min(log2, 30));
      const given: PciBar = { size, kind, prefetchable };
      const config = new PciConfig({ vendor: 1, device: 2, bars: { [number]: given } });
      const found = sizeOf(config, number);
      expect(found.size).toBe(BigInt(size));
      expect(found.bits).toBe(
        kind === "io" ? 1 : (kind === "memory64" ? 4 : 0) | (prefetchable ? 8 : 0),
      );
      for (const other of [0, 2, 4].filter((each) => each !== number))
        expect(sizeOf(config, other)).toEqual({ size: 0n, bits: 0 });
    }),
  );
});

test("what is read only stays, whatever is written wherever; a reset brings the rest back", () => {
  const capabilities = [{ id: 9, body: Uint8Array.of(6, 1, 2, 3) }];
  const identity = {
    vendor: 0x494f,
    device: 0xdc8,
    classCode: 0x123456,
    revision: 7,
    hasIntx: true,
    capabilities,
  };
  const fresh = Buffer.from(new PciConfig(identity).memory);
  const writes = fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ minLength: 1, maxLength: 8 })));
  fc.assert(
    fc.property(writes, (all) => {
      const config = new PciConfig(identity);
      for (const [at, bytes] of all) config.write(at, bytes.subarray(0, 256 - at));
      const after = Buffer.from(read(config, 0, 256));
      // Command, cache line, latency and interrupt line are all that there is to write.
      for (const at of [4, 5, 12, 13, 60]) after[at] = fresh[at] ?? 0;
      expect(Buffer.compare(after, fresh)).toBe(0);
      config.reset();
      expect(Buffer.compare(read(config, 0, 256), fresh)).toBe(0);
    }),
  );
  expect(fresh.readUInt16LE(0)).toBe(0x494f);
  expect(fresh.readUInt32LE(8)).toBe(0x12345607);
  expect([fresh[0x34], fresh[0x40], fresh[0x41], fresh[6], fresh[0x3d]]).toEqual([
    0x40, 9, 0, 0x10, 1,
  ]);
});

test("capabilities are linked, and take what is writable of them", () => {
  const config = new PciConfig({
    ...{ vendor: 1, device: 2 },
    capabilities: [
      { id: 5, body: new Uint8Array(9), writable: Uint8Array.of(0x71) },
      { id: 17, body: new Uint8Array(10) },
    ],
  });
  const bytes = read(config, 0, 256);
  expect([bytes[0x34], bytes[0x41], bytes[0x4c], bytes[0x4d]]).toEqual([0x40, 0x4c, 17, 0]);
  config.write(0x40, ones);
  expect([...read(config, 0x40, 4)]).toEqual([5, 0x4c, 0x71, 0]);
});
