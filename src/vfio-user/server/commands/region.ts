/**
 * A region's contents, where C has not answered already. libvfio-user: handle_region_access; it has
 * no REGION_WRITE_MULTI.
 */
import { constants } from "node:os";
import type { Reply, Request } from "../../connection.ts";
import {
  decodeRegionAccess,
  decodeRegionData,
  decodeRegionWrites,
  encodeRegionAccess,
  encodeRegionWritesReply,
  type RegionAccess,
  type RegionData,
} from "../../protocol/region.ts";
import { Refusal } from "../../refusal.ts";
import { type DeviceRegion, isReadable, isWritable, regionSize } from "../device.ts";
import { dataSizeMax } from "../limits.ts";
import type { Session } from "../session.ts";

const { EINVAL } = constants.errno;

export async function readRegion(session: Session, { payload }: Request): Promise<Reply> {
  const access = decodeRegionAccess(payload);
  const region = accessed(session, access);
  // As the specification has it; libvfio-user's reply has no payload then.
  if (access.count === 0) return { payload: encodeRegionAccess(access) };
  if (!isReadable(region)) throw new Refusal(EINVAL, "not to be read");
  const offset = Number(access.offset);
  const data =
    "memory" in region
      ? region.memory.subarray(offset, offset + access.count)
      : await region.read?.(offset, access.count);
  if (data?.length !== access.count) throw new Refusal(EINVAL, "the device has fewer bytes");
  return { payload: encodeRegionAccess(access), data };
}

export async function writeRegion(session: Session, { payload }: Request): Promise<Reply> {
  const write = decodeRegionData(payload);
  await writeOne(session, write);
  return { payload: encodeRegionAccess(accessOf(write)) };
}

/** In their order, until one is refused; the reply says how many were done, unless none was. */
export async function writeRegions(session: Session, { payload }: Request): Promise<Reply> {
  let done = 0n;
  try {
    for (const write of decodeRegionWrites(payload)) {
      await writeOne(session, write);
      done++;
    }
  } catch (error) {
    if (done === 0n) throw error;
  }
  return { payload: encodeRegionWritesReply(done) };
}

async function writeOne(session: Session, write: RegionData): Promise<void> {
  const region = accessed(session, accessOf(write));
  if (write.data.length === 0) return;
  if (!isWritable(region)) throw new Refusal(EINVAL, "not to be written");
  const offset = Number(write.offset);
  if (region.write !== undefined) await region.write(offset, write.data);
  else if ("memory" in region) writeMemory(region, offset, write.data);
}

function writeMemory(
  { memory, dirty }: Extract<DeviceRegion, { memory: Uint8Array }>,
  offset: number,
  data: Uint8Array,
): void {
  memory.set(data, offset);
  if (dirty === undefined) return;
  for (let page = offset >>> 12; page <= (offset + data.length - 1) >>> 12; page++)
    Atomics.or(dirty, page >>> 6, 1n << BigInt(page & 63));
}

function accessOf({ offset, region, data }: RegionData): RegionAccess {
  return { offset, region, count: data.length };
}

function accessed(session: Session, { offset, region: index, count }: RegionAccess): DeviceRegion {
  const region = session.region(index);
  if (region === undefined) throw new Refusal(EINVAL, `no region ${index}`);
  if (count > dataSizeMax) throw new Refusal(EINVAL, "more than a message has room for");
  if (offset + BigInt(count) > BigInt(regionSize(region)))
    throw new Refusal(EINVAL, "beyond the region");
  if (session.migration?.state === "STOP_COPY")
    throw new Refusal(EINVAL, "its contents may not change");
  return region;
}
