/** What a device is. vfio-user specification, "VFIO_USER_DEVICE_GET_INFO". */
import { RecordLayout } from "../../vfio/record.ts";
import { checkArgsz, decodeStruct } from "./malformed.ts";

/** VFIO_DEVICE_FLAGS_* */
export const deviceFlags = { RESET: 1, PCI: 2 } as const;

const layout = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  num_regions: "u32",
  num_irqs: "u32",
});

export interface DeviceInfo {
  readonly flags: number;
  readonly num_regions: number;
  readonly num_irqs: number;
}

/** The reply; the request is the same of zeros. */
export function encodeDeviceInfo(info: DeviceInfo): Uint8Array<ArrayBuffer> {
  return layout.encode({ ...info, argsz: layout.size });
}

export function decodeDeviceInfo(payload: Uint8Array): DeviceInfo {
  const { argsz, ...info } = decodeStruct(layout, "a device's info", payload);
  checkArgsz(argsz, layout.size);
  return info;
}
