/** Reads a stream to its end. */
import { openSource } from "../../transfer/source.ts";
import { malformed } from "../stream/malformed.ts";
import { Input } from "./input.ts";

/** Bytes in, at any split: what it is done with is gone, the rest comes again with more behind it. */
export interface Parser {
  /** It can go on without more. */
  readonly isPaused?: boolean;
  take(bytes: Uint8Array): number;
  end(bytes: Uint8Array): void;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called wherever the parser has stopped: multifd's channels can be due. */
  readonly between?: (() => Promise<void>) | undefined;
}

/**
 * FILE, or standard input for undefined and "-", through the parser. Throws READ_SOURCE, PROTOCOL,
 * TRUNCATED, and the signal's reason.
 */
export async function readStream(
  file: string | undefined,
  parser: Parser,
  { signal, between }: ReadOptions = {},
): Promise<void> {
  using source = await openSource(file, signal);
  await using input = new Input(source.descriptor.fd, source.name, signal);
  await feed(input, parser, between);
}

/** All of an input through a parser. */
export async function feed(
  input: Input,
  parser: Parser,
  between?: () => Promise<void>,
): Promise<void> {
  for (;;) {
    const { hasEnded } = input;
    const taken = parser.take(input.window);
    input.release(taken);
    await between?.();
    if (taken > 0 || parser.isPaused) continue;
    if (hasEnded) break;
    if (input.isFull) throw tooLong(input.offset, input.window.length);
    await input.more();
  }
  parser.end(input.window);
}

function tooLong(offset: number, length: number): Error {
  return malformed({ offset, expected: `an element in ${length} bytes`, found: "none" });
}
