/** A stream's bytes as C reads them ahead: windows on its ring, nothing copied. */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { type Job, startJob } from "../../../ffi/job.ts";
import { library } from "../../../ffi/library.ts";
import { readerStruct, statsStruct } from "../../../ffi/structs.ts";
import { ZcError } from "../../errors.ts";
import { started } from "../../run-job.ts";

const ringSize = 4 << 20;

export class Input implements AsyncDisposable {
  readonly name: string;
  readonly #job: Job;
  readonly #signal: AbortSignal | undefined;
  readonly #address: number;
  readonly #ring: Uint8Array;
  #released = 0;
  #read = 0;
  #hasEnded = false;
  #error = 0;
  #news = Promise.withResolvers<void>();

  /** The descriptor is borrowed. */
  constructor(fd: number, name: string, signal?: AbortSignal) {
    this.name = name;
    this.#signal = signal;
    const onNews = (handle: number, hasEnded: boolean) => this.#onNews(handle, hasEnded);
    this.#address = Number(library().zc_ring_new(ringSize));
    if (this.#address < 0)
      throw new ZcError({ code: "UNSUPPORTED", operation: "read ahead", errno: -this.#address });
    this.#ring = new Uint8Array(toArrayBuffer(this.#address as Pointer, 0, 2 * ringSize));
    const options = { ring: this.#address, size: ringSize, fd };
    const job = startJob(library().zc_reader_start, readerStruct, options, onNews);
    if (typeof job === "number") this.#freeRing();
    this.#job = started(job, `read ${name}`);
  }

  /** What has been read, and not been released; it stays in place until then. */
  get window(): Uint8Array {
    const at = this.#released % ringSize;
    return this.#ring.subarray(at, at + this.#read - this.#released);
  }

  /** Of the window's begin. */
  get offset(): number {
    return this.#released;
  }

  /** The window cannot grow before something is released. */
  get isFull(): boolean {
    return this.#read - this.#released === ringSize;
  }

  /** Nothing comes behind the window. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Done with so many bytes of the window. */
  release(bytes: number): void {
    if (bytes === 0) return;
    this.#released += bytes;
    if (!this.#hasEnded) library().zc_reader_release(this.#job.handle, bytes);
  }

  /** Until there are more bytes than the window had, or the end. Throws READ_SOURCE, the signal's. */
  async more(): Promise<void> {
    const before = this.#read;
    const cancel = () => this.#job.cancel();
    this.#signal?.addEventListener("abort", cancel, { once: true });
    while (this.#read === before && !this.#hasEnded && !this.#signal?.aborted) {
      await this.#news.promise;
      this.#news = Promise.withResolvers<void>();
    }
    this.#signal?.removeEventListener("abort", cancel);
    this.#signal?.throwIfAborted();
    if (this.#error !== 0)
      throw new ZcError({
        code: "READ_SOURCE",
        operation: "read",
        subject: this.name,
        errno: this.#error,
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#job.cancel();
    await this.#job.ended;
    this.#freeRing();
  }

  #freeRing(): void {
    library().zc_ring_free(this.#address, ringSize);
  }

  #onNews(handle: number, hasEnded: boolean): void {
    this.#read = statsStruct.readField(handle, "bytes");
    this.#hasEnded = hasEnded;
    if (hasEnded) this.#error = statsStruct.readField(handle, "error");
    this.#news.resolve();
  }
}
