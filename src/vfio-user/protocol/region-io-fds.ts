/**
 * Descriptors through which a region is accessed without messages. vfio-user specification,
 * "VFIO_USER_DEVICE_GET_REGION_IO_FDS". As for a region's info, too little room for all of them gives
 * none, and the argsz to ask with.
 */
import { joinBytes, RecordLayout } from "../../vfio/record.ts";
import { checkArgsz, decodeStruct, Malformed } from "./malformed.ts";

const layout = new RecordLayout({ argsz: "u32", flags: "u32", index: "u32", count: "u32" });
/** The least argsz of a request; bytes. */
export const regionIoFdsSize = layout.size;

/** VFIO_USER_IO_FD_TYPE_* */
const types = { ioeventfd: 0, ioregionfd: 1, "ioeventfd-shadow": 2 } as const;

/** As libvfio-user has it, with the place of a shadow; it is longer than the specification's. */
const ioeventfdLayout = new RecordLayout({
  offset: "u64",
  size: "u64",
  fd_index: "u32",
  type: "u32",
  flags: "u32",
  shadow_mem_fd_index: "u32",
  shadow_offset: "u64",
  datamatch: "u64",
});
/** Of the specification's two. */
const shortLayout = new RecordLayout({
  offset: "u64",
  size: "u64",
  fd_index: "u32",
  type: "u32",
  flags: "u32",
  padding: "u32",
  /** datamatch or user_data */
  value: "u64",
});
/** Of each sub-region; bytes. */
const stride = ioeventfdLayout.size;

interface SubRegionPlace {
  /** In the region; bytes. */
  readonly offset: bigint;
  /** 0: of any size. */
  readonly size: bigint;
  /** Of the descriptors that come with the reply. */
  readonly fd_index: number;
  /** KVM_IOEVENTFD_FLAG_* or KVM_IOREGION_* */
  readonly flags: number;
}

export type SubRegion = SubRegionPlace &
  (
    | { readonly type: "ioeventfd"; readonly datamatch: bigint }
    | {
        readonly type: "ioeventfd-shadow";
        readonly datamatch: bigint;
        readonly shadow_mem_fd_index: number;
        readonly shadow_offset: bigint;
      }
    | { readonly type: "ioregionfd"; readonly user_data: bigint }
  );

export interface RegionIoFds {
  /** Of the region. */
  readonly index: number;
  readonly subRegions: readonly SubRegion[];
}

export interface DecodedRegionIoFds extends RegionIoFds {
  /** More than the request's: to be asked again with this. */
  readonly argsz: number;
  /** Of all sub-regions, those that did not fit too. */
  readonly count: number;
}

/** `argsz`: of the reply that is taken; bytes. */
export interface RegionIoFdsRequest {
  readonly index: number;
  readonly argsz: number;
}

export function encodeRegionIoFdsRequest(request: RegionIoFdsRequest): Uint8Array<ArrayBuffer> {
  return layout.encode(request);
}

export function decodeRegionIoFdsRequest(payload: Uint8Array): RegionIoFdsRequest {
  const { index, argsz, flags, count } = decodeStruct(layout, "a request of descriptors", payload);
  checkArgsz(argsz, layout.size);
  if (flags !== 0 || count !== 0)
    throw new Malformed({ offset: 4, expected: "neither flags nor a count", found: "one" });
  return { index, argsz };
}

/** The reply to whoever takes `room` bytes: without its sub-regions where they do not all fit. */
export function encodeRegionIoFds(fds: RegionIoFds, room: number): Uint8Array<ArrayBuffer> {
  const { index, subRegions } = fds;
  const argsz = layout.size + subRegions.length * stride;
  const head = layout.encode({ argsz, index, count: subRegions.length });
  return argsz > room ? head : joinBytes(head, ...subRegions.map(encodeSubRegion));
}

export function decodeRegionIoFds(payload: Uint8Array): DecodedRegionIoFds {
  const { argsz, index, count } = decodeStruct(layout, "descriptors of a region", payload);
  checkArgsz(argsz, layout.size);
  const fields = { argsz, index, count };
  if (count === 0 || payload.length === layout.size) return { ...fields, subRegions: [] };
  if (payload.length < argsz)
    throw new Malformed({ offset: 0, expected: `${argsz} bytes`, found: `${payload.length}` });
  const each = (argsz - layout.size) / count;
  if (each !== stride && each !== shortLayout.size)
    throw new Malformed({
      offset: 0,
      expected: `an argsz for ${count} sub-regions`,
      found: `${argsz}`,
    });
  const subRegions = Array.from({ length: count }, (_, at) =>
    decodeSubRegion(payload, layout.size + at * each, each === stride),
  );
  return { ...fields, subRegions };
}

function encodeSubRegion({ type, ...fields }: SubRegion): Uint8Array {
  const number = types[type];
  if ("datamatch" in fields) return ioeventfdLayout.encode({ ...fields, type: number });
  const { user_data: value, ...place } = fields;
  return joinBytes(
    shortLayout.encode({ ...place, type: number, value }),
    new Uint8Array(stride - shortLayout.size),
  );
}

function decodeSubRegion(payload: Uint8Array, at: number, isLong: boolean): SubRegion {
  const { padding: _, value, type, ...place } = shortLayout.decode(payload, at);
  if (type === types.ioregionfd) return { ...place, type: "ioregionfd", user_data: value };
  const { datamatch, ...long } = isLong ? longOf(payload, at) : { datamatch: value };
  if (type === types.ioeventfd) return { ...place, type: "ioeventfd", datamatch };
  if (type === types["ioeventfd-shadow"] && "shadow_offset" in long)
    return { ...place, type: "ioeventfd-shadow", datamatch, ...long };
  throw new Malformed({ offset: at + 20, expected: "a type of descriptor", found: `${type}` });
}

function longOf(payload: Uint8Array, at: number) {
  const { datamatch, shadow_mem_fd_index, shadow_offset } = ioeventfdLayout.decode(payload, at);
  return { datamatch, shadow_mem_fd_index, shadow_offset };
}
