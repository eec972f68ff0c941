/** Which processor an end runs on. */
import { library } from "../../ffi/library.ts";
import { ZcError } from "../errors.ts";

/** Binds this thread, and all jobs that it starts from now on. Throws UNSUPPORTED. */
export function bindToProcessor(processor: number): void {
  const result = library().zc_processor_bind(processor);
  if (result === 0) return;
  throw new ZcError({
    code: "UNSUPPORTED",
    operation: "bind to",
    subject: `processor ${processor}`,
    errno: -result,
    hint: "`nproc --all` tells how many there are",
  });
}

const anyProcessor = -1;

/** As far as this process may. */
export function bindToAnyProcessor(): void {
  library().zc_processor_bind(anyProcessor);
}
