/** What a command puts into a device: of a file, a pipe or standard input, a portion at a time. */
import { closeSync, constants, openSync } from "node:fs";
import { type Descriptor, describe } from "../../descriptor.ts";
import { reading } from "../../files.ts";
import { Input } from "../../migration/reading/input.ts";
import { pollIn, ready } from "../../run-job.ts";

/** Bytes; no less but at the end, since a device may tell one write from two. */
const portion = 1 << 20;
const { O_RDONLY, O_NONBLOCK } = constants;

/** Disposing closes what was opened for it. */
export class Content implements Disposable {
  readonly name: string;
  readonly #source: Descriptor;

  /** A file's name, or "-" for standard input. Throws READ_SOURCE. */
  constructor(file: string) {
    this.name = file === "-" ? "standard input" : file;
    this.#source = describe(file === "-" ? 0 : openNow(file));
  }

  /** Bytes, where that can be told. */
  get size(): number | undefined {
    const { kind, size, position } = this.#source;
    // What says that it is empty may have something all the same: /proc.
    return kind === "file" && size > position ? size - position : undefined;
  }

  /** Each is borrowed until the next is asked for. Throws READ_SOURCE, and the signal's reason. */
  async *portions(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { fd } = this.#source;
    await ready(fd, pollIn, { signal }); // before that a pipe's writer may not have come
    await using input = new Input(fd, this.name, signal);
    for (;;) {
      const { hasEnded } = input;
      if (!hasEnded && input.window.length < portion) await input.more();
      else if (input.window.length > 0) {
        const bytes = input.window.subarray(0, portion);
        yield bytes;
        input.release(bytes.length);
      } else return await input.more(); // throws where it ended with an error
    }
  }

  [Symbol.dispose](): void {
    if (this.#source.fd !== 0) closeSync(this.#source.fd);
  }
}

/** A pipe without a writer would be waited for in open(2), where no signal is heard. */
function openNow(file: string): number {
  return reading(file, () => openSync(file, O_RDONLY | O_NONBLOCK), "open");
}
