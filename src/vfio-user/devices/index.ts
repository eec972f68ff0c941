/** The devices that `zc vfio-user serve` has: one line here, one file each. */
import { usageError } from "../../errors.ts";
import type { VirtualDevice } from "../server/device.ts";
import { memorySizeMax } from "../shared-memory.ts";
import { GpioDevice } from "./gpio.ts";
import { MemoryDevice } from "./memory.ts";
import { memoryPageSize } from "./memory-stream.ts";

export interface DeviceOptions {
  /** Bytes. */
  readonly size?: number | undefined;
  /** Bytes a second. */
  readonly dirtyRate?: number | undefined;
}

/** Each throws USAGE for options that are not for it. */
export const devices: Readonly<Record<string, (options: DeviceOptions) => VirtualDevice>> = {
  gpio: (options) => {
    refuseOptions("gpio", options);
    return new GpioDevice();
  },
  memory: ({ size = memorySizeDefault, dirtyRate }) => {
    if (size < memoryPageSize || size > memorySizeMax || !Number.isInteger(Math.log2(size)))
      throw usageError(
        "--size",
        `${size} is no power of two from ${memoryPageSize} to ${memorySizeMax}`,
        "--size 16M",
      );
    return new MemoryDevice({ size, dirtyRate });
  },
};

export const memorySizeDefault = 16 << 20;

function refuseOptions(name: string, { size, dirtyRate }: DeviceOptions): void {
  if (size !== undefined) throw usageError("--size", `${name} has one size`);
  if (dirtyRate !== undefined) throw usageError("--dirty-rate", `${name} writes nothing by itself`);
}
