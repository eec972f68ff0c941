/** The memory that one end sends from: one piece a stream, kept from run to run. */
import { totalmem } from "node:os";
import { ZcError } from "../errors.ts";
import { SourceMemory, type SourceMemoryOptions } from "../transfer/memory.ts";
import { depthDefault } from "../transfer/move.ts";
import { formatSize, pageSize } from "../units.ts";

export interface MemoriesOptions extends Omit<SourceMemoryOptions, "size"> {
  /** Bytes of all together. */
  readonly sourceBytes: number;
}

const memoryShareMax = 1 / 2;

export class Memories implements Disposable {
  readonly #options: MemoriesOptions;
  #kept: SourceMemory[] = [];
  /** Bytes of each. */
  #size = 0;

  constructor(options: MemoriesOptions) {
    this.#options = options;
  }

  /** For sends of `size` bytes: each has room for what is in flight. Throws UNSUPPORTED. */
  take(streams: number, size: number): readonly SourceMemory[] {
    const { sourceBytes, misalign, touch, hugePages } = this.#options;
    const share = Math.ceil(sourceBytes / streams);
    const wanted = Math.max(share, (depthDefault + 2) * (size + pageSize));
    if (wanted * streams > totalmem() * memoryShareMax) throw tooMuch(wanted * streams);
    if (this.#kept.length !== streams || this.#size < wanted) {
      this[Symbol.dispose]();
      this.#size = wanted;
      while (this.#kept.length < streams)
        this.#kept.push(new SourceMemory({ size: wanted, misalign, touch, hugePages }));
    }
    return this.#kept;
  }

  /** Nothing may send from it any more. */
  [Symbol.dispose](): void {
    for (const memory of this.#kept.splice(0)) memory[Symbol.dispose]();
  }
}

function tooMuch(bytes: number): ZcError {
  const reason = `it would take ${formatSize(bytes)} of this machine's ${formatSize(totalmem())} of memory`;
  return new ZcError({ code: "UNSUPPORTED", operation: "send", reason });
}
