/**
 * What a region is. vfio-user specification, "VFIO_USER_DEVICE_GET_REGION_INFO"; linux/vfio.h, struct
 * vfio_region_info. Capabilities make the reply longer than its struct: who asked with too little room
 * gets it without them, with an argsz that says what to ask with.
 */
import { joinBytes, RecordLayout, type RecordValues } from "../../vfio/record.ts";
import { checkArgsz, decodeStruct, decodeStructs, Malformed } from "./malformed.ts";

/** VFIO_REGION_INFO_FLAG_* */
export const regionFlags = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;

const infoLayout = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  index: "u32",
  cap_offset: "u32",
  size: "u64",
  offset: "u64",
});
/** The least argsz of a request; bytes. */
export const regionInfoSize = infoLayout.size;

/** struct vfio_info_cap_header; `next` is from the info's begin, 0 in the last. */
const capabilityLayout = new RecordLayout({ id: "u16", version: "u16", next: "u32" });
/** struct vfio_region_info_cap_sparse_mmap, between its header and its areas. */
const sparseLayout = new RecordLayout({ nr_areas: "u32", reserved: "u32" });
const areaLayout = new RecordLayout({ offset: "u64", size: "u64" });

/** VFIO_REGION_INFO_CAP_SPARSE_MMAP */
const sparseMmap = 1;
const sparseMmapVersion = 1;

/** In a region; bytes. */
export type SparseArea = RecordValues<{ offset: "u64"; size: "u64" }>;

export interface RegionInfo {
  /** CAPS is set where there are capabilities, whatever is said here. */
  readonly flags: number;
  readonly index: number;
  /** Bytes. */
  readonly size: bigint;
  /** In the file that comes with the reply, where it can be mapped. */
  readonly offset: bigint;
  /** What of it can be mapped; undefined: all of it. */
  readonly areas?: readonly SparseArea[] | undefined;
}

export interface DecodedRegionInfo extends RegionInfo {
  /** More than the request's: to be asked again with this. */
  readonly argsz: number;
  /** The numbers of capabilities that are not read here. */
  readonly otherCapabilities: readonly number[];
}

/** `argsz`: of the reply that is taken; bytes. */
export interface RegionInfoRequest {
  readonly index: number;
  readonly argsz: number;
}

export function encodeRegionInfoRequest(request: RegionInfoRequest): Uint8Array<ArrayBuffer> {
  return infoLayout.encode(request);
}

export function decodeRegionInfoRequest(payload: Uint8Array): RegionInfoRequest {
  const { index, argsz } = decodeStruct(infoLayout, "a region's info", payload);
  checkArgsz(argsz, infoLayout.size);
  return { index, argsz };
}

/** The reply to whoever takes `room` bytes: without its areas where they do not fit. */
export function encodeRegionInfo(info: RegionInfo, room: number): Uint8Array<ArrayBuffer> {
  const { areas, ...fields } = info;
  const capability = areas === undefined ? new Uint8Array() : encodeAreas(areas);
  const argsz = infoLayout.size + capability.length;
  const flags = fields.flags & ~regionFlags.CAPS;
  if (areas === undefined || argsz > room) return infoLayout.encode({ ...fields, flags, argsz });
  const capable = { flags: flags | regionFlags.CAPS, cap_offset: infoLayout.size };
  return joinBytes(infoLayout.encode({ ...fields, ...capable, argsz }), capability);
}

export function decodeRegionInfo(payload: Uint8Array): DecodedRegionInfo {
  const { cap_offset, ...info } = decodeStruct(infoLayout, "a region's info", payload);
  checkArgsz(info.argsz, infoLayout.size);
  const others: number[] = [];
  let areas: readonly SparseArea[] | undefined;
  for (const { id, at } of capabilitiesOf(payload, info.flags, cap_offset)) {
    if (id === sparseMmap) areas = decodeAreas(payload, at);
    else others.push(id);
  }
  return { ...info, ...(areas && { areas }), otherCapabilities: others };
}

function encodeAreas(areas: readonly SparseArea[]): Uint8Array {
  return joinBytes(
    capabilityLayout.encode({ id: sparseMmap, version: sparseMmapVersion }),
    sparseLayout.encode({ nr_areas: areas.length }),
    ...areas.map((area) => areaLayout.encode(area)),
  );
}

function decodeAreas(payload: Uint8Array, at: number): SparseArea[] {
  const { nr_areas } = decodeStruct(sparseLayout, "a count of areas", payload, at);
  return decodeStructs(areaLayout, "areas", payload, at + sparseLayout.size, nr_areas);
}

/** Each lies behind the one before, or the chain could have no end. */
function* capabilitiesOf(payload: Uint8Array, flags: number, first: number) {
  if ((flags & regionFlags.CAPS) === 0) return;
  let end = infoLayout.size;
  for (let offset = first; offset !== 0; ) {
    if (offset < end)
      throw new Malformed({
        offset: end === infoLayout.size ? 12 : end - 4,
        expected: `a capability at ${end} or behind it`,
        found: `one at ${offset}`,
      });
    const { id, next } = decodeStruct(capabilityLayout, "a capability", payload, offset);
    end = offset + capabilityLayout.size;
    yield { id, at: end };
    offset = next;
  }
}
