/** The elements of a stream that comes in portions: the parser, for whoever has no descriptor. */

import { Ram } from "../ram/ram.ts";
import { type Described, Describer } from "../stream/describer.ts";
import { pageSizeDefault } from "../stream/format.ts";
import { type ParserOptions, StreamParser } from "../stream/parser.ts";

export interface ReadElementsOptions extends Omit<ParserOptions, "ram" | "onElement"> {
  /** Where its pages are counted, and may be written; else its own, with pages of 4 KiB. */
  readonly ram?: Ram | undefined;
}

/**
 * Each element in order, devices with the fields that the description gives them; from the first
 * device on they come when the description has. Throws PROTOCOL, TRUNCATED, and what `portions` does.
 */
export async function* readElements(
  portions: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { ram, ...options }: ReadElementsOptions = {},
): AsyncGenerator<Described, void> {
  using own = ram === undefined ? new Ram(pageSizeDefault) : undefined;
  const ready: Described[] = [];
  const describer = new Describer((described) => ready.push(described));
  const parser = new StreamParser({
    ...options,
    ram: ram ?? (own as Ram),
    onElement: (element) => describer.take(element),
  });
  let rest: Uint8Array = new Uint8Array();
  for await (const portion of portions) {
    rest = takeAll(parser, rest.length === 0 ? portion : Buffer.concat([rest, portion]));
    yield* ready.splice(0);
  }
  parser.end(rest);
  describer.end();
  yield* ready;
}

/** What is left: a copy, for the portion is not ours. */
function takeAll(parser: StreamParser, bytes: Uint8Array): Uint8Array {
  let done = 0;
  let taken: number;
  do {
    taken = parser.take(bytes.subarray(done));
    done += taken;
  } while (taken > 0 || parser.isPaused);
  return bytes.slice(done);
}
