/** Memory of ours that a peer can map: a file without a name, whose size nobody can change. */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { regionFlag } from "../../ffi/structs.ts";
import { ZcError } from "../errors.ts";
import { GiB } from "../units.ts";
import type { DmaTarget } from "./client/dma-memory.ts";

/** JavaScript has no larger array. Bytes. */
export const memorySizeMax = 4 * GiB;
const pieceSize = 1 << 20;
const { EFBIG } = constants.errno;

/** Disposing unmaps it here, and `bytes` with it; who else has mapped it keeps it. */
export class SharedMemory implements DmaTarget, Disposable {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly #address: number;

  /** Throws UNSUPPORTED. */
  constructor(size: number) {
    if (size > memorySizeMax) throw unsupported(size, EFBIG);
    this.fd = assertDone(library().zc_shared_memory_open(size), size);
    try {
      const flags = regionFlag.read | regionFlag.write;
      this.#address = assertDone(Number(library().zc_map(this.fd, 0, size, flags)), size);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
    this.bytes = new Uint8Array(toArrayBuffer(this.#address as Pointer, 0, size));
  }

  read(offset: bigint, size: number): Uint8Array {
    return this.bytes.subarray(Number(offset), Number(offset) + size);
  }

  write(offset: bigint, data: Uint8Array): void {
    this.bytes.set(data, Number(offset));
  }

  /** All of it, each piece borrowed until the next: what nobody has written takes no memory by this. */
  *pieces(): Generator<Uint8Array, void> {
    const room = new Uint8Array(pieceSize);
    for (let at = 0; at < this.bytes.length; at += pieceSize) {
      const piece = room.subarray(0, Math.min(pieceSize, this.bytes.length - at));
      readSync(this.fd, piece, 0, piece.length, at);
      yield piece;
    }
  }

  [Symbol.dispose](): void {
    const { length } = this.bytes;
    // The view must not outlive what it shows.
    (this.bytes.buffer as ArrayBuffer).transfer();
    library().zc_unmap(this.#address, length);
    closeSync(this.fd);
  }
}

function assertDone(result: number, size: number): number {
  if (result >= 0) return result;
  throw unsupported(size, -result);
}

function unsupported(size: number, errno: number): ZcError {
  const subject = `${size} bytes`;
  return new ZcError({ code: "UNSUPPORTED", operation: "share memory of", subject, errno });
}
