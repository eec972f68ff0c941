/** Writes a stream: small pieces from here, large ones from other descriptors, in C. */
import { writeFully } from "../../endpoint/read.ts";
import { errnoOf, ZcError } from "../../errors.ts";
import { Move } from "../../transfer/move.ts";
import { type Output, openOutput } from "../../transfer/output.ts";
import { askedStep } from "../../transfer/plan.ts";
import { openSource } from "../../transfer/source.ts";

const ends = { direction: "send", family: "unix", local: "file" } as const;
const copyPlan = [askedStep(ends, "sendfile"), askedStep(ends, "copy")];

/** A file, all of it, under another name. Throws READ_SOURCE, WRITE_SINK. */
export async function copyFile(from: string, to: string, signal?: AbortSignal): Promise<void> {
  using source = await openSource(from, signal);
  using output = await openOutput(to, {}, signal);
  const writer = new StreamWriter(output, signal);
  await writer.copy(source.descriptor.fd, source.length ?? 0, from);
  output.commit();
}

export class StreamWriter {
  readonly #output: Output;
  readonly #signal: AbortSignal | undefined;
  /** Bytes written. */
  position = 0;

  /** The output is the caller's, to commit. */
  constructor(output: Output, signal?: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  get fd(): number {
    return this.#output.descriptor.fd;
  }

  /** Throws WRITE_SINK. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.fd, bytes, { signal: this.#signal });
    } catch (error) {
      this.#signal?.throwIfAborted();
      const subject = this.#output.name;
      const errno = errnoOf(error);
      throw new ZcError({ code: "WRITE_SINK", operation: "write", subject, errno });
    }
    this.position += bytes.length;
  }

  /** The next `length` bytes of another descriptor. Throws READ_SOURCE, WRITE_SINK, TRUNCATED. */
  async copy(fd: number, length: number, name: string): Promise<void> {
    if (length === 0) return;
    const source = { fd, name, isSocket: false };
    const sink = { fd: this.fd, name: this.#output.name, isSocket: false };
    const { counters } = await new Move({
      ...{ source, sink, plan: copyPlan, limit: length, signal: this.#signal },
    }).run();
    this.position += counters.bytes;
    if (counters.bytes === length) return;
    const reason = `${counters.bytes} bytes of ${length}`;
    throw new ZcError({ code: "TRUNCATED", operation: "read", subject: name, reason });
  }
}
