/** Memory that is sent over and over, for benchmarks; it lives in C. */
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { memoryFlag } from "../../ffi/structs.ts";
import { ZcError } from "../errors.ts";
import { formatSize } from "../units.ts";

export interface SourceMemoryOptions {
  /** Bytes. */
  readonly size: number;
  /** Bytes, less than a page, by which what is sent misses the begin of one. */
  readonly misalign: number;
  /** Write to it before each time that it is sent. */
  readonly touch: boolean;
  readonly hugePages: boolean;
}

export class SourceMemory implements Disposable {
  /** For zc_move.memory. */
  readonly handle: number;

  /** Throws UNSUPPORTED where there is not so much. */
  constructor({ size, misalign, touch, hugePages }: SourceMemoryOptions) {
    const flags = (hugePages ? memoryFlag.huge : 0) | (touch ? memoryFlag.touch : 0);
    this.handle = Number(library().zc_memory_new(size, misalign, flags));
    if (this.handle < 0) throw memoryError(-this.handle, size, hugePages);
  }

  [Symbol.dispose](): void {
    library().zc_memory_free(this.handle);
  }
}

function memoryError(errno: number, size: number, hugePages: boolean): ZcError {
  const isShort = hugePages && errno === constants.errno.ENOMEM;
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "get",
    subject: `${formatSize(size)} of ${hugePages ? "huge pages" : "memory"}`,
    errno,
    hint: isShort ? `sysctl vm.nr_hugepages=${Math.ceil(size / hugePageSize) + 1}` : "",
  });
}

/** x86-64's and arm64's usual one; HugePages_ in proc(5). */
const hugePageSize = 2 << 20;
