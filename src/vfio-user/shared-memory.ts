/** Memory of ours that a peer can map: a file without a name, whose size nobody can change. */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { closeSync } from "node:fs";
import { library } from "../../ffi/library.ts";
import { regionFlag } from "../../ffi/structs.ts";
import { ZcError } from "../errors.ts";
import type { DmaTarget } from "./client/dma-memory.ts";

/** Disposing unmaps it here, and `bytes` with it; who else has mapped it keeps it. */
export class SharedMemory implements DmaTarget, Disposable {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly #address: number;

  /** Throws UNSUPPORTED. */
  constructor(size: number) {
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
  const subject = `${size} bytes`;
  throw new ZcError({ code: "UNSUPPORTED", operation: "share memory of", subject, errno: -result });
}
