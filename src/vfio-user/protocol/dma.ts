/** Guest memory: what the server may reach of it, and what it reads and writes by messages. */
import { joinBytes, RecordLayout, type RecordValues } from "../../vfio/record.ts";
import { checkArgsz, decodeData, decodeStruct, Malformed } from "./malformed.ts";

/** VFIO_USER_F_DMA_REGION_*; the last two are libvfio-user's: how the server is to reach a region. */
export const dmaRegionFlags = { READ: 1, WRITE: 2, MMAP: 4, FILE_IO: 8 } as const;
/** VFIO_DMA_UNMAP_FLAG_*; no longer in the specification, but libvfio-user takes them. */
export const dmaUnmapFlags = { GET_DIRTY_BITMAP: 1, ALL: 2 } as const;

const mapLayout = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  offset: "u64",
  addr: "u64",
  size: "u64",
});
const unmapLayout = new RecordLayout({ argsz: "u32", flags: "u32", addr: "u64", size: "u64" });
const bitmapLayout = new RecordLayout({ pgsize: "u64", size: "u64" });
const accessLayout = new RecordLayout({ addr: "u64", count: "u64" });

/** Bytes; `offset` is in the file that comes with it, 0 where none does. */
export interface DmaMap {
  readonly flags: number;
  readonly offset: bigint;
  readonly addr: bigint;
  readonly size: bigint;
}

export interface DmaUnmap {
  readonly flags: number;
  readonly addr: bigint;
  readonly size: bigint;
  /** With GET_DIRTY_BITMAP: a bit for `pgsize` bytes, in `size` bytes. */
  readonly bitmap?: RecordValues<{ pgsize: "u64"; size: "u64" }> | undefined;
}

/** Of DMA_MAP; its reply has no payload. */
export function encodeDmaMap(map: DmaMap): Uint8Array<ArrayBuffer> {
  return mapLayout.encode({ ...map, argsz: mapLayout.size });
}

export function decodeDmaMap(payload: Uint8Array): DmaMap {
  const { argsz, ...map } = decodeStruct(mapLayout, "a DMA map", payload);
  checkArgsz(argsz, mapLayout.size);
  return map;
}

/** Of DMA_UNMAP; with ALL, address and size are 0. */
export function encodeDmaUnmap({ bitmap, ...unmap }: DmaUnmap): Uint8Array<ArrayBuffer> {
  const argsz = unmapReplySize(bitmap);
  const tail = bitmap === undefined ? new Uint8Array() : bitmapLayout.encode(bitmap);
  return joinBytes(unmapLayout.encode({ ...unmap, argsz }), tail);
}

/** `argszMax`: of the reply; bytes. */
export function decodeDmaUnmap(payload: Uint8Array, argszMax = 0xffff_ffff): DmaUnmap {
  const { argsz, ...unmap } = decodeStruct(unmapLayout, "a DMA unmap", payload);
  const bitmap = hasBitmap(unmap) ? decodeBitmap(payload) : undefined;
  checkArgsz(argsz, unmapReplySize(bitmap));
  if (argsz > argszMax)
    throw new Malformed({
      offset: 0,
      expected: `an argsz of at most ${argszMax}`,
      found: `${argsz}`,
    });
  return bitmap === undefined ? unmap : { ...unmap, bitmap };
}

/** The reply repeats the request, and has the bits of the bitmap that it asked for. */
export function encodeDmaUnmapReply(
  unmap: DmaUnmap,
  bits = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  return joinBytes(encodeDmaUnmap(unmap), bits);
}

/** The bits are borrowed; undefined without GET_DIRTY_BITMAP. */
export function decodeDmaUnmapReply(
  payload: Uint8Array,
): DmaUnmap & { readonly bits?: Uint8Array } {
  const unmap = decodeDmaUnmap(payload);
  if (unmap.bitmap === undefined) return unmap;
  const at = unmapLayout.size + bitmapLayout.size;
  return { ...unmap, bits: decodeData(payload, at, unmap.bitmap.size) };
}

/** Where, and how many bytes; the server asks for no more than `max_data_xfer_size`. */
export type DmaAccess = RecordValues<{ addr: "u64"; count: "u64" }>;

/** Of DMA_READ, and of the reply to DMA_WRITE. */
export function encodeDmaAccess(access: DmaAccess): Uint8Array<ArrayBuffer> {
  return accessLayout.encode(access);
}

export function decodeDmaAccess(payload: Uint8Array): DmaAccess {
  return decodeStruct(accessLayout, "a DMA access", payload);
}

export interface DmaData {
  readonly addr: bigint;
  readonly data: Uint8Array;
}

/** Of DMA_WRITE, and of the reply to DMA_READ. */
export function encodeDmaData({ addr, data }: DmaData): Uint8Array<ArrayBuffer> {
  return joinBytes(accessLayout.encode({ addr, count: BigInt(data.length) }), data);
}

/** The data are borrowed. */
export function decodeDmaData(payload: Uint8Array): DmaData {
  const { addr, count } = decodeDmaAccess(payload);
  return { addr, data: decodeData(payload, accessLayout.size, count) };
}

function hasBitmap({ flags }: { readonly flags: number }): boolean {
  return (flags & dmaUnmapFlags.GET_DIRTY_BITMAP) !== 0;
}

function decodeBitmap(payload: Uint8Array): RecordValues<{ pgsize: "u64"; size: "u64" }> {
  const bitmap = decodeStruct(bitmapLayout, "a bitmap", payload, unmapLayout.size);
  if (bitmap.size > sizeMax)
    throw new Malformed({
      offset: unmapLayout.size + 8,
      expected: "a bitmap that fits into a message",
      found: `${bitmap.size} bytes`,
    });
  return bitmap;
}

/** A message's size is a u32. */
const sizeMax = BigInt(0xffff_ffff - unmapLayout.size - bitmapLayout.size);

/** Bytes. */
function unmapReplySize(bitmap: DmaUnmap["bitmap"]): number {
  return unmapLayout.size + (bitmap === undefined ? 0 : bitmapLayout.size + Number(bitmap.size));
}
