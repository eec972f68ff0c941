/** zc migrate convert: the same machine, in another form that QEMU loads. */
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { defineCommand, oneOf } from "../../command.ts";
import { usageError } from "../../errors.ts";
import type { Ram } from "../../migration/ram/ram.ts";
import { Spool } from "../../migration/ram/spool.ts";
import type { Block, Configuration, Element } from "../../migration/stream/elements.ts";
import { Gatherer } from "../../migration/writing/convert.ts";
import { MappedWriter } from "../../migration/writing/mapped.ts";
import { writePlain } from "../../migration/writing/plain.ts";
import { StreamWriter } from "../../migration/writing/writer.ts";
import { interruptible } from "../../signals.ts";
import { openOutput } from "../../transfer/output.ts";
import { openRam, readThrough, type StreamOptions, streamOptions } from "./stream.ts";

const options = {
  to: {
    flag: "--to <form>",
    text: "plain, each page once, or mapped-ram, each page at its place in a file",
    parse: oneOf(["plain", "mapped-ram"]),
  },
  ...streamOptions,
} as const;

export const command = defineCommand({
  usage: "FILE [OUT]",
  text: "Write the machine in FILE in another form: without pages sent again, XBZRLE, channels, commands.",
  options,
  examples: [
    "zc migrate convert --to mapped-ram vm.stream vm.mapped",
    "zc migrate convert --to plain --channels one,two main vm.stream",
    "zc migrate convert --to plain vm.mapped | zc send host:5000",
  ],
  run: ([file, out], values) => {
    if (values.to === undefined) throw usageError("--to", "plain or mapped-ram?");
    const convert = values.to === "plain" ? toPlain : toMapped;
    return interruptible(async (signal) => {
      using ram = openRam(values);
      await convert({ file, out, ram, values, signal });
      return 0;
    });
  },
});

interface Conversion {
  readonly file: string | undefined;
  readonly out: string | undefined;
  readonly ram: Ram;
  readonly values: StreamOptions;
  readonly signal: AbortSignal;
}

async function toPlain({ file, out, ram, values, signal }: Conversion): Promise<void> {
  using output = await openOutput(out, {}, signal);
  using spool = new Spool(out === undefined || out === "-" ? tmpdir() : dirname(out));
  const gatherer = new Gatherer();
  const onElement = (element: Element) => gatherer.take(element);
  const onBlock = (block: Block) => spool.add(ram, block);
  await readThrough(file, ram, values, { onElement, onBlock }, signal);
  await writePlain(gatherer.result(), ram, new StreamWriter(output, signal), signal);
  output.commit();
}

async function toMapped({ file, out, ram, values, signal }: Conversion): Promise<void> {
  using output = await openOutput(out, {}, signal);
  const writer = new MappedWriter(output, ram);
  const gatherer = new Gatherer();
  let configuration: Configuration | undefined;
  const onElement = (element: Element) => {
    if (element.type === "configuration") configuration = element;
    gatherer.take(element);
  };
  const onBlock = (block: Block) => writer.add(block, configuration);
  await readThrough(file, ram, values, { onElement, onBlock }, signal);
  writer.finish(gatherer.result());
  output.commit();
}
