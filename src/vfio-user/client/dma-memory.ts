/** The memory that a device may reach: told to it, and answered for where it asks by messages. */
import { constants } from "node:os";
import { ZcError } from "../../errors.ts";
import type { Reply, Request } from "../connection.ts";
import { commands } from "../protocol/commands.ts";
import {
  type DmaAccess,
  decodeDmaAccess,
  decodeDmaData,
  decodeDmaUnmapReply,
  dmaRegionFlags,
  dmaUnmapFlags,
  encodeDmaAccess,
  encodeDmaData,
  encodeDmaMap,
  encodeDmaUnmap,
} from "../protocol/dma.ts";
import { Refusal } from "../refusal.ts";
import { assertSame, type CallOptions, type Calls } from "./calls.ts";

/** What stands behind an address; offsets are from the map's begin. Throws Refusal. */
export interface DmaTarget {
  /** Borrowed until the next call. */
  read(offset: bigint, size: number): Uint8Array | Promise<Uint8Array>;
  /** The data are borrowed for the call. */
  write(offset: bigint, data: Uint8Array): void | Promise<void>;
}

export interface DmaMapping {
  /** As the device sees it; bytes. */
  readonly address: bigint;
  readonly size: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  /** What the device can map; borrowed for the call. undefined: it asks by messages. */
  readonly file?: { readonly fd: number; readonly offset: bigint } | undefined;
  /** Answers its messages, which it may send in any case; undefined: EFAULT. */
  readonly target?: DmaTarget | undefined;
}

const { EINVAL, EFAULT, EACCES, ENOSYS } = constants.errno;

export class DmaMemory {
  readonly #calls: Calls;
  readonly #mappings: DmaMapping[] = [];

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  get mappings(): readonly DmaMapping[] {
    return this.#mappings;
  }

  /** Throws DEVICE, with EEXIST or EINVAL for what overlaps; USAGE for one more than it takes. */
  async map(mapping: DmaMapping, options: CallOptions = {}): Promise<void> {
    const { address, size, readable, writable, file } = mapping;
    const { limits } = this.#calls;
    if (this.#mappings.length >= limits.maxDmaMaps) throw tooMany(limits.maxDmaMaps);
    const flags = (readable ? dmaRegionFlags.READ : 0) | (writable ? dmaRegionFlags.WRITE : 0);
    const payload = encodeDmaMap({ flags, offset: file?.offset ?? 0n, addr: address, size });
    // Before: the device may use it at once.
    this.#mappings.push(mapping);
    try {
      const fds = file === undefined ? [] : [file.fd];
      await this.#calls.call("DMA_MAP", payload, { ...options, fds });
    } catch (error) {
      this.#forget(mapping);
      throw error;
    }
  }

  /** As it was mapped: no part of it. Throws DEVICE, with ENOENT where there is none such. */
  async unmap(
    { address, size }: Pick<DmaMapping, "address" | "size">,
    options: CallOptions = {},
  ): Promise<void> {
    const request = encodeDmaUnmap({ flags: 0, addr: address, size });
    const reply = decodeDmaUnmapReply(await this.#calls.call("DMA_UNMAP", request, options));
    assertSame("address", address, reply.addr);
    const mapping = this.#mappings.find((each) => each.address === address && each.size === size);
    if (mapping !== undefined) this.#forget(mapping);
  }

  /** Throws DEVICE where the server does not know this. */
  async unmapAll(options: CallOptions = {}): Promise<void> {
    const request = encodeDmaUnmap({ flags: dmaUnmapFlags.ALL, addr: 0n, size: 0n });
    decodeDmaUnmapReply(await this.#calls.call("DMA_UNMAP", request, options));
    this.#mappings.length = 0;
  }

  /** What the server asks for. Throws Refusal, Malformed. */
  async answer({ command, payload }: Request): Promise<Reply> {
    if (command === commands.DMA_READ) return await this.#read(decodeDmaAccess(payload));
    if (command === commands.DMA_WRITE) {
      const { addr, data } = decodeDmaData(payload);
      const { target, offset } = this.#find({ addr, count: BigInt(data.length) }, "writable");
      await target.write(offset, data);
      return { payload: encodeDmaAccess({ addr, count: BigInt(data.length) }) };
    }
    throw new Refusal(ENOSYS, `a client has no command ${command}`);
  }

  async #read(access: DmaAccess): Promise<Reply> {
    if (access.count > BigInt(this.#calls.limits.maxDataXferSize))
      throw new Refusal(EINVAL, `${access.count} bytes are more than max_data_xfer_size`);
    const { target, offset } = this.#find(access, "readable");
    const data = await target.read(offset, Number(access.count));
    return { payload: encodeDmaData({ addr: access.addr, data }) };
  }

  /** All of an access lies in one map. */
  #find({ addr, count }: DmaAccess, right: "readable" | "writable") {
    const mapping = this.#mappings.find(
      ({ address, size }) => addr >= address && addr + count <= address + size,
    );
    if (mapping === undefined)
      throw new Refusal(EFAULT, `0x${addr.toString(16)} and ${count} bytes: not mapped`);
    if (!mapping[right]) throw new Refusal(EACCES, `0x${addr.toString(16)} is not ${right}`);
    if (mapping.target === undefined)
      throw new Refusal(EFAULT, `0x${addr.toString(16)} is not for messages`);
    return { target: mapping.target, offset: addr - mapping.address };
  }

  #forget(mapping: DmaMapping): void {
    const index = this.#mappings.indexOf(mapping);
    if (index >= 0) this.#mappings.splice(index, 1);
  }
}

function tooMany(max: number): ZcError {
  return new ZcError({
    code: "USAGE",
    operation: "map memory",
    reason: `the device takes ${max} maps at a time`,
  });
}
