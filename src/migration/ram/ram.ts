/** The RAM of a stream: records scanned in C, which never become JavaScript's. */
import { type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { startJob } from "../../../ffi/job.ts";
import { library } from "../../../ffi/library.ts";
import {
  jobSide,
  ramChannel,
  ramCountsStruct,
  ramPacketStruct,
  ramRecordsStruct,
  ramRegisters,
  ramScanStruct,
  ramStop,
} from "../../../ffi/structs.ts";
import { ZcError } from "../../errors.ts";
import { finished, started } from "../../run-job.ts";
import { hex } from "../stream/malformed.ts";
import { estimateDistinct } from "./distinct.ts";

/** Pages, and bytes of their contents as they came. */
export interface RamCounts {
  readonly normal: number;
  readonly zero: number;
  readonly xbzrle: number;
  /** Of all three: of which another was sent before. */
  readonly again: number;
  /** Of the normal ones: all zeros, where somebody looked. */
  readonly empty: number;
  readonly bytes: number;
}

/** Of all kinds. */
export function pagesIn({ normal, zero, xbzrle }: RamCounts): number {
  return normal + zero + xbzrle;
}

export interface Scanned {
  /** Bytes. */
  readonly consumed: number;
  readonly stop: RamStop;
  /** Of the record where it stopped. */
  readonly offset: number;
  readonly flags: number;
  /** Its block's index. */
  readonly block: number;
}

export type RamStop = keyof typeof ramStop;

const names = Object.fromEntries(
  Object.entries(ramStop).map(([name, number]) => [number, name]),
) as Record<number, RamStop>;

const EEXIST = 17;

export class Ram implements Disposable {
  readonly pageSize: number;
  readonly samplePages: number;
  readonly #handle: number;
  readonly #indices = new Map<string, number>();
  readonly #sizes: number[] = [];
  readonly #scan = ramScanStruct.allocate();
  readonly #counts = ramCountsStruct.allocate();

  /** With `samplePages` contents are looked at, and so many pages kept. Throws UNSUPPORTED. */
  constructor(pageSize: number, samplePages = 0) {
    this.pageSize = pageSize;
    this.samplePages = samplePages;
    this.#handle = Number(library().zc_ram_new(pageSize, samplePages));
    if (this.#handle < 0) throw memoryError(-this.#handle);
  }

  [Symbol.dispose](): void {
    library().zc_ram_free(this.#handle);
  }

  /** Names of its blocks, in their order. */
  get blocks(): readonly string[] {
    return [...this.#indices.keys()];
  }

  /** Bytes of a block. */
  sizeOf(name: string): number {
    return this.#sizes[this.#indexOf(name)] ?? 0;
  }

  has(name: string): boolean {
    return this.#indices.has(name);
  }

  /** What is wrong with it, where it cannot be added. Throws UNSUPPORTED: no memory. */
  add(name: string, size: number): string | undefined {
    const bytes = new TextEncoder().encode(name);
    const index = library().zc_ram_add_block(this.#handle, bytes, bytes.length, size);
    if (index === -EEXIST) return "which came before";
    if (index < 0 && index !== -ENOMEM) return `of ${hex(size)} bytes, more than can be`;
    if (index < 0) throw memoryError(-index);
    this.#indices.set(name, index);
    this.#sizes[index] = size;
    return undefined;
  }

  /** Takes the records that are there. Throws WRITE_SINK, where an image cannot be written. */
  scan(bytes: Uint8Array, channel: keyof typeof ramChannel = "main"): Scanned {
    if (bytes.length === 0) return { consumed: 0, stop: "more", offset: 0, flags: 0, block: 0 };
    const { length } = bytes;
    const number = ramChannel[channel];
    const error = library().zc_ram_scan(this.#handle, number, bytes, length, this.#scan);
    if (error < 0) throw writeError(-error);
    const { stop, consumed, offset, flags, block } = ramScanStruct.unpack(this.#scan);
    return { consumed, offset, flags, block, stop: names[stop] ?? "more" };
  }

  /** A block's pages go to this descriptor, which is borrowed, from `base` on. */
  writeTo(name: string, fd: number, base: number): void {
    const error = library().zc_ram_image(this.#handle, this.#indexOf(name), fd, base);
    if (error < 0) throw memoryError(-error);
  }

  /** Writes a block that has an image to this descriptor, as records. Throws WRITE_SINK, READ_SOURCE. */
  async writeRecords(name: string, sink: number, signal?: AbortSignal): Promise<number> {
    const options = { ram: this.#handle, block: this.#indexOf(name), sink };
    const job = startJob(library().zc_ram_records_start, ramRecordsStruct, options);
    const { error, side, bytes } = await finished(started(job, "write RAM"), signal);
    if (error === 0) return bytes;
    throw side === jobSide.sink ? writeError(error) : readError(error);
  }

  /** Whole pages of a mapped-ram block. */
  takeMapped(name: string, offset: number, bytes: Uint8Array, bitmap: Uint8Array): void {
    const index = this.#indexOf(name);
    const { length } = bytes;
    const error = library().zc_ram_mapped(this.#handle, index, offset, bytes, length, bitmap);
    if (error < 0) throw writeError(-error);
  }

  /** A multifd packet's pages; false: an offset is not in the block. */
  takePacket(name: string, packet: Packet): boolean {
    return this.#take(this.#indexOf(name), packet);
  }

  /** A page of the block with this index. */
  takePage(index: number, offset: number, page: Uint8Array): void {
    const offsets = new Uint8Array(8);
    new DataView(offsets.buffer).setBigUint64(0, BigInt(offset));
    this.#take(index, { offsets, pages: page, normal: 1, zero: 0 });
  }

  get counts(): RamCounts {
    library().zc_ram_counts(this.#handle, this.#counts);
    return ramCountsStruct.unpack(this.#counts);
  }

  countsOf(name: string): RamCounts {
    library().zc_ram_counts_of_block(this.#handle, this.#indexOf(name), this.#counts);
    return ramCountsStruct.unpack(this.#counts);
  }

  /** Each pass over all blocks; the last one has the rest. */
  get rounds(): readonly RamCounts[] {
    const rounds: RamCounts[] = [];
    const next = () =>
      library().zc_ram_counts_of_round(this.#handle, rounds.length, this.#counts) === 0;
    while (next()) rounds.push(ramCountsStruct.unpack(this.#counts));
    return rounds;
  }

  /** About how many different pages there were, none of zeros. */
  get distinct(): number {
    const registers = new Uint8Array(ramRegisters);
    library().zc_ram_registers(this.#handle, registers);
    return estimateDistinct(registers);
  }

  /** Pages picked at random, one behind the other. */
  sample(): Uint8Array {
    const bytes = new Uint8Array(this.samplePages * this.pageSize);
    const pages = library().zc_ram_sample(this.#handle, bytes, bytes.length);
    return bytes.subarray(0, Math.max(pages, 0) * this.pageSize);
  }

  /** A bit a page, the lowest of the first byte first: the image has it, and it is not all zeros. */
  kept(name: string): Uint8Array {
    const index = this.#indexOf(name);
    const address = Number(library().zc_ram_kept(this.#handle, index));
    const words = Math.ceil(Math.ceil((this.#sizes[index] ?? 0) / this.pageSize) / 64);
    if (address === 0) return new Uint8Array(words * 8);
    return new Uint8Array(toArrayBuffer(address as Pointer, 0, words * 8).slice(0));
  }

  #take(index: number, { offsets, pages, normal, zero }: Packet): boolean {
    const packet = { offsets: ptr(offsets), pages: pages ? ptr(pages) : 0, normal, zero };
    const packed = ramPacketStruct.pack(packet);
    const error = library().zc_ram_packet(this.#handle, index, packed);
    if (error < 0 && error !== -EBADMSG) throw writeError(-error);
    return error === 0;
  }

  #indexOf(name: string): number {
    const index = this.#indices.get(name);
    if (index === undefined) throw new Error(`no RAM block ${name}`);
    return index;
  }
}

export interface Packet {
  /** be64 each: the normal ones', then the zero ones'. */
  readonly offsets: Uint8Array;
  /** The normal ones' contents. */
  readonly pages: Uint8Array | undefined;
  readonly normal: number;
  readonly zero: number;
}

const ENOMEM = 12;
const EBADMSG = 74;

function memoryError(errno: number): ZcError {
  return new ZcError({ code: "UNSUPPORTED", operation: "follow the RAM's pages", errno });
}

function readError(errno: number): ZcError {
  return new ZcError({ code: "READ_SOURCE", operation: "read", subject: "a RAM image", errno });
}

function writeError(errno: number): ZcError {
  return new ZcError({ code: "WRITE_SINK", operation: "write", subject: "a RAM image", errno });
}
