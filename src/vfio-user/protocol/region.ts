/** A device's regions: what they are, and their contents. vfio-user specification, "Region Information". */
import { joinBytes, RecordLayout, type RecordValues } from "../../vfio/record.ts";
import { decodeData, decodeStruct, decodeStructs, Malformed } from "./malformed.ts";

const accessLayout = new RecordLayout({ offset: "u64", region: "u32", count: "u32" });

/** Where, and how many bytes, which are no more than the peer's `max_data_xfer_size`. */
export type RegionAccess = RecordValues<{ offset: "u64"; region: "u32"; count: "u32" }>;

/** Of REGION_READ, and of the reply to REGION_WRITE. */
export function encodeRegionAccess(access: RegionAccess): Uint8Array<ArrayBuffer> {
  return accessLayout.encode(access);
}

export function decodeRegionAccess(payload: Uint8Array): RegionAccess {
  return decodeStruct(accessLayout, "an access to a region", payload);
}

export interface RegionData {
  readonly offset: bigint;
  readonly region: number;
  readonly data: Uint8Array;
}

/** Of REGION_WRITE, and of the reply to REGION_READ. */
export function encodeRegionData({ data, ...where }: RegionData): Uint8Array<ArrayBuffer> {
  return joinBytes(accessLayout.encode({ ...where, count: data.length }), data);
}

/** The data are borrowed. */
export function decodeRegionData(payload: Uint8Array): RegionData {
  const { offset, region, count } = decodeRegionAccess(payload);
  return { offset, region, data: decodeData(payload, accessLayout.size, count) };
}

const countLayout = new RecordLayout({ wr_cnt: "u64" });
const writeLayout = new RecordLayout({ offset: "u64", region: "u32", count: "u32", data: "u64" });
/** Of one of many writes. */
const writeDataMax = 8;

/** Of REGION_WRITE_MULTI. Throws RangeError for more than 8 bytes of data in one. */
export function encodeRegionWrites(writes: readonly RegionData[]): Uint8Array<ArrayBuffer> {
  return joinBytes(encodeRegionWritesReply(BigInt(writes.length)), ...writes.map(encodeWrite));
}

/** The data are borrowed. */
export function decodeRegionWrites(payload: Uint8Array): RegionData[] {
  const { wr_cnt } = decodeStruct(countLayout, "a count of writes", payload);
  const { size } = countLayout;
  decodeData(payload, size, wr_cnt * BigInt(writeLayout.size));
  return decodeStructs(writeLayout, "writes", payload, size, Number(wr_cnt)).map((write, index) => {
    const { offset, region, count } = write;
    const at = size + index * writeLayout.size + accessLayout.size;
    if (count > writeDataMax)
      throw new Malformed({ offset: at - 4, expected: "at most 8 bytes", found: `${count}` });
    return { offset, region, data: payload.subarray(at, at + count) };
  });
}

/** How many of them were done. */
export function encodeRegionWritesReply(count: bigint): Uint8Array<ArrayBuffer> {
  return countLayout.encode({ wr_cnt: count });
}

export function decodeRegionWritesReply(payload: Uint8Array): bigint {
  return decodeStruct(countLayout, "a count of writes", payload).wr_cnt;
}

function encodeWrite({ offset, region, data }: RegionData): Uint8Array {
  if (data.length > writeDataMax) throw new RangeError(`a write of ${data.length} bytes`);
  const bytes = writeLayout.encode({ offset, region, count: data.length });
  bytes.set(data, accessLayout.size);
  return bytes;
}
