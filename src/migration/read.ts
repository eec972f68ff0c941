/** Reads a stream to its end. */
import { openSource } from "../transfer/source.ts";
import { Input } from "./input.ts";
import { malformed } from "./malformed.ts";
import type { StreamParser } from "./parser.ts";

/**
 * FILE, or standard input for undefined and "-", through the parser. Throws READ_SOURCE, PROTOCOL,
 * TRUNCATED, and the signal's reason.
 */
export async function readStream(
  file: string | undefined,
  parser: StreamParser,
  signal?: AbortSignal,
): Promise<void> {
  using source = openSource(file);
  await using input = new Input(source.descriptor.fd, source.name, signal);
  for (;;) {
    const { window, hasEnded } = input;
    if (hasEnded) {
      parser.end(window);
      return;
    }
    const taken = parser.take(window);
    if (taken === 0 && input.isFull)
      throw malformed({
        offset: parser.offset,
        expected: `an element in ${window.length} bytes`,
        found: "none",
      });
    input.release(taken);
    await input.more();
  }
}
