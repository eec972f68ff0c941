/** A device's regions: what they are, and their contents, by messages or through a mapping. */
import { closeAll, type Reply } from "../connection.ts";
import { Malformed } from "../protocol/malformed.ts";
import {
  decodeRegionAccess,
  decodeRegionData,
  decodeRegionWritesReply,
  encodeRegionAccess,
  encodeRegionData,
  encodeRegionWrites,
  type RegionData,
} from "../protocol/region.ts";
import {
  type DecodedRegionInfo,
  decodeRegionInfo,
  encodeRegionInfoRequest,
  regionFlags,
  regionInfoSize,
} from "../protocol/region-info.ts";
import {
  type DecodedRegionIoFds,
  decodeRegionIoFds,
  encodeRegionIoFdsRequest,
  regionIoFdsSize,
  type SubRegion,
} from "../protocol/region-io-fds.ts";
import { assertSame, type CallOptions, type Calls } from "./calls.ts";
import { RegionMap, readMapped, writeMapped } from "./region-map.ts";

export interface AccessOptions extends CallOptions {
  /** false: by messages, even where the device lets us map the region. */
  readonly map?: boolean | undefined;
}

export interface WriteOptions extends AccessOptions {
  /** Asks for no reply: nobody is told whether it was done. */
  readonly posted?: boolean | undefined;
}

export interface IoDescriptors {
  readonly subRegions: readonly SubRegion[];
  /** By the subregions' `fd_index`; the caller's. */
  readonly fds: readonly number[];
}

/** Bytes of capabilities that are asked for; the areas of a region with tens of thousands. */
const argszMax = 1 << 20;
/** One of REGION_WRITE_MULTI, and what stands before all; bytes. */
const manyWriteSize = 24;
const manyHeadSize = 8;

export class Regions implements Disposable {
  readonly #calls: Calls;
  /** Promises: two that come at once ask once. */
  readonly #maps = new Map<number, Promise<RegionMap>>();

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Throws DEVICE, PROTOCOL. */
  async info(index: number, options: CallOptions = {}): Promise<DecodedRegionInfo> {
    const { info, fds } = await this.#ask(index, options);
    closeAll(fds);
    return info;
  }

  /** As many bytes. Throws DEVICE, and PROTOCOL for a reply of others. */
  async read(
    region: number,
    offset: bigint,
    size: number,
    options: AccessOptions = {},
  ): Promise<Uint8Array> {
    const map = await this.#map(region, options);
    const bytes = new Uint8Array(size);
    for (const { area, ...piece } of map.pieces(offset, size)) {
      const at = Number(piece.offset - offset);
      const out = bytes.subarray(at, at + piece.size);
      if (area === undefined) await this.#readMessages(region, piece.offset, out, options);
      else readMapped(area, piece.offset, out);
    }
    return bytes;
  }

  /** Throws DEVICE, PROTOCOL; posted: neither for what the device thinks of it. */
  async write(
    region: number,
    offset: bigint,
    data: Uint8Array,
    options: WriteOptions = {},
  ): Promise<void> {
    const map = await this.#map(region, options);
    for (const { area, ...piece } of map.pieces(offset, data.length)) {
      const at = Number(piece.offset - offset);
      const part = data.subarray(at, at + piece.size);
      if (area === undefined) await this.#writeMessages(region, piece.offset, part, options);
      else writeMapped(area, piece.offset, part);
    }
  }

  /**
   * Small writes, of 8 bytes at most, in their order: many in a message where the device takes that,
   * else one by one. Throws DEVICE, PROTOCOL, and RangeError for larger ones.
   */
  async writeMultiple(writes: readonly RegionData[], options: CallOptions = {}): Promise<void> {
    const { writeMultiple, maxDataXferSize } = this.#calls.limits;
    const room = Math.floor((maxDataXferSize - manyHeadSize) / manyWriteSize);
    if (!writeMultiple || room < 1) {
      for (const { region, offset, data } of writes)
        await this.write(region, offset, data, { ...options, map: false });
      return;
    }
    for (let at = 0; at < writes.length; at += room) {
      const some = writes.slice(at, at + room);
      const request = encodeRegionWrites(some);
      const reply = await this.#calls.call("REGION_WRITE_MULTI", request, options);
      assertSame("writes", BigInt(some.length), decodeRegionWritesReply(reply));
    }
  }

  /** Descriptors through which parts of a region are accessed. Throws DEVICE, PROTOCOL. */
  async ioFds(index: number, options: CallOptions = {}): Promise<IoDescriptors> {
    const ask = async (argsz: number) => {
      const request = encodeRegionIoFdsRequest({ index, argsz });
      const reply = await this.#calls.callForFds("DEVICE_GET_REGION_IO_FDS", request, options);
      return decodeWithFds(reply, decodeRegionIoFds);
    };
    const first = await ask(regionIoFdsSize);
    const isAll = first.decoded.subRegions.length === first.decoded.count;
    if (!isAll) closeAll(first.fds);
    const { decoded, fds } = isAll ? first : await ask(checkRoom(first.decoded.argsz));
    try {
      assertSame("region", index, decoded.index);
      assertDescriptors(decoded, fds.length);
    } catch (error) {
      closeAll(fds);
      throw error;
    }
    return { subRegions: decoded.subRegions, fds };
  }

  /** Unmaps what was mapped. */
  [Symbol.dispose](): void {
    for (const map of this.#maps.values())
      void map.then(
        (each) => each[Symbol.dispose](),
        () => {},
      );
    this.#maps.clear();
  }

  async #map(index: number, { map = true, ...options }: AccessOptions): Promise<RegionMap> {
    if (!map) return RegionMap.none;
    const known = this.#maps.get(index) ?? this.#openMap(index, options);
    this.#maps.set(index, known);
    try {
      return await known;
    } catch (error) {
      this.#maps.delete(index);
      throw error;
    }
  }

  async #openMap(index: number, options: CallOptions): Promise<RegionMap> {
    const { info, fds } = await this.#ask(index, options);
    const [fd] = fds;
    const canMap = (info.flags & regionFlags.MMAP) !== 0 && fd !== undefined;
    const map = canMap ? RegionMap.open(info, fd) : RegionMap.none;
    closeAll(fds);
    return map;
  }

  /** Twice, where there is more than fits into the first reply. */
  async #ask(index: number, options: CallOptions) {
    const ask = async (argsz: number) => {
      const request = encodeRegionInfoRequest({ index, argsz });
      const reply = await this.#calls.callForFds("DEVICE_GET_REGION_INFO", request, options);
      return decodeWithFds(reply, (payload) => checkInfo(index, decodeRegionInfo(payload)));
    };
    let { decoded: info, fds } = await ask(regionInfoSize);
    if (info.argsz > regionInfoSize && (info.flags & regionFlags.CAPS) === 0) {
      closeAll(fds);
      ({ decoded: info, fds } = await ask(checkRoom(info.argsz)));
    }
    return { info, fds };
  }

  async #readMessages(region: number, offset: bigint, out: Uint8Array, options: CallOptions) {
    const { maxDataXferSize } = this.#calls.limits;
    for (let at = 0; at < out.length; at += maxDataXferSize) {
      const part = out.subarray(at, at + maxDataXferSize);
      const where = { region, offset: offset + BigInt(at), count: part.length };
      const request = encodeRegionAccess(where);
      const reply = decodeRegionData(await this.#calls.call("REGION_READ", request, options));
      assertSame("bytes", part.length, reply.data.length);
      part.set(reply.data);
    }
  }

  async #writeMessages(
    region: number,
    offset: bigint,
    data: Uint8Array,
    { posted = false, ...options }: WriteOptions,
  ) {
    const { connection, limits } = this.#calls;
    for (let at = 0; at < data.length; at += limits.maxDataXferSize) {
      const part = data.subarray(at, at + limits.maxDataXferSize);
      const request = encodeRegionData({ region, offset: offset + BigInt(at), data: part });
      if (posted) {
        await connection.post("REGION_WRITE", request, options);
        continue;
      }
      const reply = decodeRegionAccess(await this.#calls.call("REGION_WRITE", request, options));
      assertSame("bytes", part.length, reply.count);
    }
  }
}

/** Descriptors of a reply that is none are closed. */
function decodeWithFds<T>({ payload, fds = [] }: Reply, decode: (payload: Uint8Array) => T) {
  try {
    return { decoded: decode(payload), fds };
  } catch (error) {
    closeAll(fds);
    throw error;
  }
}

/** Its areas lie in it. */
function checkInfo(index: number, info: DecodedRegionInfo): DecodedRegionInfo {
  assertSame("region", index, info.index);
  for (const { offset, size } of info.areas ?? []) {
    if (offset + size <= info.size) continue;
    const expected = `areas within the region's ${info.size} bytes`;
    throw new Malformed({ offset: regionInfoSize, expected, found: `${offset} + ${size}` });
  }
  return info;
}

function checkRoom(argsz: number): number {
  if (argsz <= argszMax) return argsz;
  throw new Malformed({ offset: 0, expected: `an argsz up to ${argszMax}`, found: `${argsz}` });
}

function assertDescriptors({ subRegions, count }: DecodedRegionIoFds, fds: number): void {
  assertSame("descriptors", count, subRegions.length);
  for (const each of subRegions) {
    const shadow = each.type === "ioeventfd-shadow" ? each.shadow_mem_fd_index : 0;
    if (Math.max(each.fd_index, shadow) < fds) continue;
    const found = `${Math.max(each.fd_index, shadow)}`;
    throw new Malformed({ offset: 16, expected: `one of ${fds} descriptors`, found });
  }
}
