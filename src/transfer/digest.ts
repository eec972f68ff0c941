/** A digest that a mover takes while bytes pass; it lives in C. */
import { library } from "../../ffi/library.ts";
import { digestAlgorithm, digestSizeMax } from "../../ffi/structs.ts";
import { formatChecksum } from "../checksum.ts";
import { ZcError } from "../errors.ts";

export class Digest {
  readonly algorithm: keyof typeof digestAlgorithm;
  /** For zc_move.digest. */
  readonly handle: number;

  constructor(algorithm: keyof typeof digestAlgorithm) {
    this.algorithm = algorithm;
    this.handle = Number(library().zc_digest_new(digestAlgorithm[algorithm]));
    if (this.handle < 0) {
      throw new ZcError({
        code: "UNSUPPORTED",
        operation: "digest",
        errno: -this.handle,
      });
    }
  }

  /** "xxh3:…" of all bytes so far. */
  value(): string {
    const bytes = new Uint8Array(digestSizeMax);
    const size = library().zc_digest_value(this.handle, bytes);
    return formatChecksum(this.algorithm, bytes.subarray(0, size));
  }

  [Symbol.dispose](): void {
    library().zc_digest_free(this.handle);
  }
}
