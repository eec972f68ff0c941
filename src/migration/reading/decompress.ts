/** What a multifd channel compresses: one stream, flushed at the end of each packet. */
import type { Transform } from "node:stream";
import { constants, createInflate, createZstdDecompress } from "node:zlib";
import { ZcError } from "../../errors.ts";
import { hex, malformed } from "../stream/malformed.ts";
import type { Method } from "../stream/multifd.ts";

const makers: Partial<Record<Method, () => Transform>> = {
  zlib: () => createInflate({ flush: constants.Z_SYNC_FLUSH }),
  zstd: () => createZstdDecompress(),
};

export class Decompressor implements Disposable {
  #stream: Transform | undefined;
  #method: Method | undefined;
  #parts: Buffer[] = [];
  #length = 0;
  #sizeMax = 0;
  #fail: ((error: unknown) => void) | undefined;

  /** The contents of the next packet, of `size` bytes. Throws PROTOCOL, UNSUPPORTED. */
  async take(
    method: Method,
    payload: Uint8Array,
    size: number,
    offset: number,
  ): Promise<Uint8Array> {
    const contents =
      method === "none" ? payload : await this.#decompress(method, payload, size, offset);
    if (contents.length !== size)
      throw malformed({
        offset,
        expected: `${size} bytes of pages`,
        found: `${contents.length}`,
      });
    return contents;
  }

  [Symbol.dispose](): void {
    this.#stream?.destroy();
  }

  async #decompress(
    method: Method,
    payload: Uint8Array,
    size: number,
    offset: number,
  ): Promise<Uint8Array> {
    const stream = this.#streamOf(method, offset);
    this.#parts = [];
    this.#length = 0;
    this.#sizeMax = size;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        stream.write(payload, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      throw malformed({ offset, expected: `a packet compressed by ${method}`, found });
    }
    return Buffer.concat(this.#parts);
  }

  #streamOf(method: Method, offset: number): Transform {
    if (this.#stream !== undefined && this.#method === method) return this.#stream;
    const make = makers[method];
    if (make === undefined || this.#stream !== undefined)
      throw new ZcError({
        code: "UNSUPPORTED",
        operation: "decompress",
        subject: `the packet at ${hex(offset)}`,
        reason:
          make === undefined ? `${method} is not read here` : "the channel changed its method",
      });
    const stream = make();
    stream.on("data", (part: Buffer) => this.#keep(part));
    stream.on("error", (error) => this.#fail?.(error));
    this.#stream = stream;
    this.#method = method;
    return stream;
  }

  /** No more than a page beyond what is expected: a bomb is no packet. */
  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#sizeMax) this.#fail?.(new Error(`more than ${this.#sizeMax} bytes`));
    else this.#parts.push(part);
  }
}
