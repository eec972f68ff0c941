/** What the device is. libvfio-user: handle_device_get_info, _region_info and _region_io_fds. */
import { constants } from "node:os";
import type { Reply, Request } from "../../connection.ts";
import { decodeDeviceInfo, deviceFlags, encodeDeviceInfo } from "../../protocol/device-info.ts";
import {
  decodeRegionInfoRequest,
  encodeRegionInfo,
  regionFlags,
  regionInfoSize,
} from "../../protocol/region-info.ts";
import { decodeRegionIoFdsRequest, encodeRegionIoFds } from "../../protocol/region-io-fds.ts";
import { Refusal } from "../../refusal.ts";
import { type DeviceRegion, isReadable, isWritable, regionSize } from "../device.ts";
import { dataSizeMax } from "../limits.ts";
import type { Session } from "../session.ts";

const { EINVAL } = constants.errno;

export function getDeviceInfo(session: Session, { payload }: Request): Reply {
  decodeDeviceInfo(payload);
  const { device, regionCount, interrupts } = session;
  return {
    payload: encodeDeviceInfo({
      flags: deviceFlags.RESET | (device.isPci ? deviceFlags.PCI : 0),
      num_regions: regionCount,
      num_irqs: interrupts.counts.length,
    }),
  };
}

/** The descriptor comes with the areas, and so not to who has too little room for them. */
export function getRegionInfo(session: Session, { payload }: Request): Reply {
  const { index, argsz } = decodeRegionInfoRequest(payload);
  if (index >= session.regionCount) throw new Refusal(EINVAL, `no region ${index}`);
  const region = session.region(index);
  const size = BigInt(regionSize(region));
  const mapping = region !== undefined && "memory" in region ? region.mapping : undefined;
  const areas = mapping && (mapping.areas ?? [{ offset: 0n, size }]);
  const offset = BigInt(mapping?.offset ?? 0);
  const flags = flagsOf(region);
  const reply = encodeRegionInfo({ flags, index, size, offset, areas }, argsz);
  const hasAreas = reply.length > regionInfoSize;
  return { payload: reply, ...(mapping && hasAreas && { fds: [mapping.fd] }) };
}

function flagsOf(region: DeviceRegion | undefined): number {
  if (region === undefined) return 0;
  const { READ, WRITE, MMAP } = regionFlags;
  const isMapped = "memory" in region && region.mapping !== undefined;
  return (isReadable(region) ? READ : 0) | (isWritable(region) ? WRITE : 0) | (isMapped ? MMAP : 0);
}

/** No device has any. */
export function getRegionIoFds(session: Session, { payload }: Request): Reply {
  const { index, argsz } = decodeRegionIoFdsRequest(payload);
  if (session.region(index) === undefined) throw new Refusal(EINVAL, `no region ${index}`);
  if (argsz > dataSizeMax) throw new Refusal(EINVAL, "more room than a message has");
  return { payload: encodeRegionIoFds({ index, subRegions: [] }, argsz) };
}
