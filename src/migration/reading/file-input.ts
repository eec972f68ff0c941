/** A regular file's bytes, read where they are wanted: what is passed over is not. */
import { readSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { reading } from "../../files.ts";
import type { ByteInput } from "./read.ts";

const bufferSize = 256 << 10;

export class FileInput implements ByteInput {
  readonly #fd: number;
  readonly #name: string;
  readonly #signal: AbortSignal | undefined;
  readonly #buffer = new Uint8Array(bufferSize);
  #begin = 0;
  #end = 0;
  #hasEnded = false;
  /** Of the window's begin, in the file. */
  offset = 0;

  /** The descriptor is borrowed. */
  constructor(fd: number, name: string, signal?: AbortSignal) {
    this.#fd = fd;
    this.#name = name;
    this.#signal = signal;
  }

  get window(): Uint8Array {
    return this.#buffer.subarray(this.#begin, this.#end);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isFull(): boolean {
    return this.#end - this.#begin === bufferSize;
  }

  release(bytes: number): void {
    this.offset += bytes;
    this.#begin = Math.min(this.#begin + bytes, this.#end);
  }

  /** Others have had a turn. Throws READ_SOURCE, and the signal's reason. */
  async more(): Promise<void> {
    await turn();
    this.#signal?.throwIfAborted();
    this.#buffer.copyWithin(0, this.#begin, this.#end);
    this.#end -= this.#begin;
    this.#begin = 0;
    const got = reading(this.#name, () => {
      const room = bufferSize - this.#end;
      return readSync(this.#fd, this.#buffer, this.#end, room, this.offset + this.#end);
    });
    this.#end += got;
    this.#hasEnded = got === 0;
  }
}
