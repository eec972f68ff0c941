/** A device that does what its test says, and notes what happens to it. */
import type {
  Bus,
  DeviceMigration,
  VirtualDevice,
} from "../../../../src/vfio-user/server/device.ts";

export interface BusDevice extends VirtualDevice {
  readonly bus: Bus;
  readonly events: string[];
}

export function busDevice(more: Partial<VirtualDevice> = {}): BusDevice {
  let bus: Bus | undefined;
  const events: string[] = [];
  return {
    name: "test",
    isPci: true,
    regions: {},
    events,
    get bus() {
      if (bus === undefined) throw new Error("nobody is attached");
      return bus;
    },
    attached: (its) => {
      bus = its;
      events.push("attached");
    },
    detached: () => {
      events.push("detached");
    },
    reset: (reason) => {
      events.push(`reset ${reason}`);
    },
    ...more,
  };
}

export const anyMigration: DeviceMigration = {
  features: { stopCopy: true, p2p: false, preCopy: true },
  setState: () => {},
  read: (size) => new Uint8Array(size),
  write: () => {},
};
