/** Guest memory that a client lets its device reach: through the file that came with it, or by asking. */
import { fstatSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../../ffi/library.ts";
import { regionFlag } from "../../../ffi/structs.ts";
import { errnoOf } from "../../errors.ts";
import type { AddressRange } from "../../vfio/device.ts";
import { closeAll } from "../connection.ts";
import { type DmaMap, dmaRegionFlags } from "../protocol/dma.ts";
import { Refusal } from "../refusal.ts";
import type { DmaOptions } from "./device.ts";
import type { DmaMessages } from "./dma-messages.ts";
import { bitmapsSizeMax, dmaMappedMax, dmaMapsMax, dmaSizeMax, pageSize } from "./limits.ts";
import { checkedBitmapSize, WrittenPages } from "./written-pages.ts";

const { EINVAL, ENOSPC, ENOENT, EACCES, EIO, ENOMEM, ENOTSUP } = constants.errno;
const { READ, WRITE, MMAP, FILE_IO } = dmaRegionFlags;
const addressEnd = 1n << 64n;

/** How the bytes of a range are reached, from its begin. */
interface Memory {
  /** Fills the bytes, or takes them. Throws Refusal. */
  read(offset: bigint, bytes: Uint8Array): void | Promise<void>;
  write(offset: bigint, bytes: Uint8Array): void | Promise<void>;
  close(): void;
}

interface Range {
  readonly map: DmaMap;
  /** The file that it came with: undefined: none. */
  readonly file: string | undefined;
  readonly memory: Memory;
  /** undefined: nobody logs, or the client itself knows. */
  written: WrittenPages | undefined;
}

/** A part of a range; bytes. */
interface Piece {
  readonly range: Range;
  readonly offset: bigint;
  readonly size: number;
}

/** Owns the mappings and descriptors. The errnos are those of libvfio-user's lib/dma.c. */
export class DmaMaps {
  /** By address; none overlaps another. */
  #ranges: Range[] = [];
  /** undefined: nobody logs what is written. */
  #loggedPageSize: bigint | undefined;
  readonly #messages: () => DmaMessages;

  /** `messages` is called when there is memory that has no file. */
  constructor(messages: () => DmaMessages) {
    this.#messages = messages;
  }

  /** Takes the descriptor over. Throws Refusal. */
  map(map: DmaMap, fd: number | undefined): void {
    let owned = fd;
    try {
      checkMap(map, fd);
      const file = fd === undefined ? undefined : fileOf(fd);
      if (this.#isThere(map, file)) return;
      if (this.#ranges.length >= dmaMapsMax) throw new Refusal(EINVAL, "too many DMA maps");
      if (isMapped({ map, file }) && this.#mappedSize() + map.size > dmaMappedMax)
        throw new Refusal(EINVAL, "too much memory in DMA maps");
      const written = file === undefined ? undefined : this.#newLog(map.size);
      const memory = fd === undefined ? this.#byMessages(map) : openMemory(map, fd);
      if (fd !== undefined && keepsFile(map)) owned = undefined;
      const behind = this.#ranges.findIndex((range) => range.map.addr > map.addr);
      const at = behind < 0 ? this.#ranges.length : behind;
      this.#ranges.splice(at, 0, { map, file, memory, written });
    } finally {
      if (owned !== undefined) closeAll([owned]);
    }
  }

  /** Throws Refusal: ENOENT unless exactly this was mapped. */
  unmap(address: bigint, size: bigint): void {
    const range = this.#ranges.find(({ map }) => map.addr === address && map.size === size);
    if (range === undefined) throw new Refusal(ENOENT, "nothing is mapped so");
    this.#ranges = this.#ranges.filter((other) => other !== range);
    range.memory.close();
  }

  #mappedSize(): bigint {
    return this.#ranges.filter(isMapped).reduce((sum, { map: { size } }) => sum + size, 0n);
  }

  unmapAll(): void {
    for (const { memory } of this.#ranges) memory.close();
    this.#ranges = [];
  }

  /** By address. */
  list(): AddressRange[] {
    return this.#ranges.map(({ map: { addr: address, size } }) => ({ address, size }));
  }

  /** Throws Refusal, as Bus.read does. */
  async read(address: bigint, size: number, options: DmaOptions = {}): Promise<Uint8Array> {
    const pieces = this.#piecesOf(address, size);
    if (!pieces.every(({ range }) => range.map.flags & READ))
      throw new Refusal(EACCES, "the client's memory is not to be read");
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const { range, offset, size } of pieces) {
      await this.#memoryOf(range, options).read(offset, bytes.subarray(at, at + size));
      at += size;
    }
    return bytes;
  }

  /** Throws likewise. */
  async write(address: bigint, bytes: Uint8Array, options: DmaOptions = {}): Promise<void> {
    const pieces = this.#piecesOf(address, bytes.length);
    if (!pieces.every(({ range }) => range.map.flags & WRITE))
      throw new Refusal(EACCES, "the client's memory is not to be written");
    let at = 0;
    for (const { range, offset, size } of pieces) {
      if (!options.byMessages) range.written?.mark(offset, BigInt(size));
      await this.#memoryOf(range, options).write(offset, bytes.subarray(at, at + size));
      at += size;
    }
  }

  /** All memory that has a file, by pages of this size. Throws Refusal. */
  startLogging(pageSize: bigint): void {
    if (this.#loggedPageSize === pageSize) return;
    if (this.#loggedPageSize !== undefined)
      throw new Refusal(EINVAL, "it is logged by another page size");
    if (pageSize === 0n || (pageSize & (pageSize - 1n)) !== 0n)
      throw new Refusal(EINVAL, "a page size that is no power of two");
    this.#loggedPageSize = pageSize;
    try {
      for (const range of this.#ranges)
        if (range.file !== undefined) range.written = this.#newLog(range.map.size);
    } catch (error) {
      this.stopLogging();
      throw error;
    }
  }

  stopLogging(): void {
    this.#loggedPageSize = undefined;
    for (const range of this.#ranges) range.written = undefined;
  }

  /**
   * What was written since it was last asked. As in libvfio-user, the range must begin where a map
   * does, and be no longer; the specification has any range. Throws Refusal.
   */
  takeLog(address: bigint, size: bigint, pageSize: bigint): Uint8Array<ArrayBuffer> {
    const range = this.#find(address);
    if (range === undefined || address + size > endOf(range) || size === 0n)
      throw new Refusal(ENOENT, "no such memory is mapped");
    if (range.map.addr !== address) throw new Refusal(ENOTSUP, "the range begins within a map");
    if (this.#loggedPageSize === undefined) throw new Refusal(EINVAL, "nothing is logged");
    if (range.written === undefined) throw new Refusal(EINVAL, "it is written by the client alone");
    return range.written.take(size, pageSize);
  }

  /** Whether exactly this is mapped already. Throws Refusal for anything else in its place. */
  #isThere(map: DmaMap, file: string | undefined): boolean {
    const other = this.#ranges.find(
      (range) => range.map.addr < map.addr + map.size && map.addr < endOf(range),
    );
    if (other === undefined) return false;
    const rights = READ | WRITE;
    const isSame =
      other.map.addr === map.addr &&
      other.map.size === map.size &&
      other.map.offset === map.offset &&
      other.file === file &&
      (other.map.flags & rights) === (map.flags & rights);
    // EEXIST in the specification.
    if (!isSame) throw new Refusal(EINVAL, "other memory is mapped there");
    return true;
  }

  #newLog(size: bigint): WrittenPages | undefined {
    if (this.#loggedPageSize === undefined) return undefined;
    const others = this.#ranges.reduce((sum, { written }) => sum + (written?.size ?? 0), 0);
    if (others + checkedBitmapSize(size, this.#loggedPageSize) > bitmapsSizeMax)
      throw new Refusal(ENOMEM, "too many pages to log");
    return new WrittenPages(size, this.#loggedPageSize);
  }

  #memoryOf({ map, memory }: Range, { byMessages }: DmaOptions): Memory {
    return byMessages ? this.#byMessages(map) : memory;
  }

  #byMessages({ addr }: DmaMap): Memory {
    return {
      read: (offset, bytes) => this.#messages().read(addr + offset, bytes),
      write: (offset, bytes) => this.#messages().write(addr + offset, bytes),
      close: () => {},
    };
  }

  #piecesOf(address: bigint, size: number): Piece[] {
    const pieces: Piece[] = [];
    const end = address + BigInt(size);
    for (let at = address; at < end; ) {
      const range = this.#find(at);
      if (range === undefined) throw new Refusal(ENOENT, "no such memory is mapped");
      const pieceEnd = endOf(range) < end ? endOf(range) : end;
      pieces.push({ range, offset: at - range.map.addr, size: Number(pieceEnd - at) });
      at = pieceEnd;
    }
    return pieces;
  }

  #find(address: bigint): Range | undefined {
    return this.#ranges.find((range) => range.map.addr <= address && address < endOf(range));
  }
}

function checkMap({ flags, addr, size }: DmaMap, fd: number | undefined): void {
  if (flags & (MMAP | FILE_IO) && fd === undefined)
    throw new Refusal(EINVAL, "memory in a file, and no descriptor");
  const known = READ | WRITE | (flags & MMAP ? MMAP : FILE_IO);
  if (flags & ~known) throw new Refusal(EINVAL, "flags that there are not");
  if (size > dmaSizeMax) throw new Refusal(ENOSPC, "more memory than can be mapped at once");
  if (size === 0n || addr + size > addressEnd) throw new Refusal(EINVAL, "no range of addresses");
}

/** Which file it is, whatever descriptor stands for it. */
function fileOf(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

/** Without a word of how, what comes with a file is mapped. */
function keepsFile({ flags }: DmaMap): boolean {
  return (flags & FILE_IO) !== 0 && (flags & MMAP) === 0;
}

function isMapped({ map, file }: Pick<Range, "map" | "file">): boolean {
  return file !== undefined && !keepsFile(map);
}

function openMemory(map: DmaMap, fd: number): Memory {
  return keepsFile(map) ? fileMemory(map, fd) : mappedMemory(map, fd);
}

/** The mapping lasts when the descriptor is closed. A client that cuts the file gives EFAULT. */
function mappedMemory({ flags, offset, size }: DmaMap, fd: number): Memory {
  const unit = BigInt(Math.max(pageSize, fstatSync(fd).blksize)); // of huge pages too
  const begin = (offset / unit) * unit;
  const length = ((offset - begin + size + unit - 1n) / unit) * unit;
  const rights = (flags & READ ? regionFlag.read : 0) | (flags & WRITE ? regionFlag.write : 0);
  const base = Number(library().zc_map(fd, begin, length, rights));
  if (base < 0) throw new Refusal(-base, "map the client's memory");
  const first = BigInt(base) + offset - begin;
  const check = (result: number) => {
    if (result < 0) throw new Refusal(-result, "reach the client's memory");
  };
  return {
    read: (at, bytes) => check(library().zc_mapped_read(first + at, bytes, bytes.length)),
    write: (at, bytes) => check(library().zc_mapped_write(first + at, bytes, bytes.length)),
    close: () => library().zc_unmap(base, length),
  };
}

function fileMemory({ offset, size }: DmaMap, fd: number): Memory {
  if (!fstatSync(fd).isFile()) throw new Refusal(EINVAL, "memory in what is no file");
  if (offset + size > BigInt(Number.MAX_SAFE_INTEGER))
    throw new Refusal(EINVAL, "beyond what a file can have");
  const all = (call: FileCall) => (at: bigint, bytes: Uint8Array) => {
    for (let done = 0; done < bytes.length; ) {
      const moved = call(fd, bytes, done, bytes.length - done, Number(offset + at) + done);
      if (moved === 0) throw new Refusal(EIO, "the client's file has ended");
      done += moved;
    }
  };
  return {
    read: refusing(all(readSync)),
    write: refusing(all(writeSync)),
    close: () => closeAll([fd]),
  };
}

/** pread(2) or pwrite(2). */
type FileCall = (
  fd: number,
  bytes: Uint8Array,
  begin: number,
  length: number,
  position: number,
) => number;

function refusing(action: (at: bigint, bytes: Uint8Array) => void) {
  return (at: bigint, bytes: Uint8Array) => {
    try {
      action(at, bytes);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal(errnoOf(error), "reach the client's file");
    }
  };
}

function endOf({ map }: Range): bigint {
  return map.addr + map.size;
}
