/** Writes a plain stream: one pass over RAM, and the devices. */

import type { Ram } from "../ram/ram.ts";
import type { Block } from "../stream/elements.ts";
import { encodeFooter, encodeSectionHeader } from "../stream/encode.ts";
import { encodeBlock, encodeSizes } from "../stream/encode-ram.ts";
import { ramFlag } from "../stream/format.ts";
import { joined, u64 } from "../stream/joined.ts";
import { type Converted, encodeBegin, encodeEnd, isSent } from "./convert.ts";
import type { StreamWriter } from "./writer.ts";

/** Throws WRITE_SINK, READ_SOURCE. */
export async function writePlain(
  converted: Converted,
  ram: Ram,
  writer: StreamWriter,
  signal?: AbortSignal,
): Promise<void> {
  const { ram: section, blocks } = converted;
  const footer = section.hasFooter ? encodeFooter(section.id) : new Uint8Array(0);
  const endOfSection = joined(u64(ramFlag.eos), footer);
  await writer.write(encodeBegin(converted.configuration, false));
  await writer.write(encodeSectionHeader("start", section));
  await writer.write(encodeBlockList(blocks));
  await writer.write(endOfSection);
  await writer.write(encodeSectionHeader("end", section));
  for (const block of blocks.filter((block) => isSent(ram, block)))
    await ram.writeRecords(block.name, writer.fd, signal);
  await writer.write(endOfSection);
  await writer.write(encodeEnd(converted));
}

function encodeBlockList(blocks: readonly Block[]): Uint8Array {
  const total = blocks.reduce((sum, { size }) => sum + size, 0);
  const entries = blocks.map(({ name, size, guestAddress }) =>
    encodeBlock({ name, size, guestAddress }),
  );
  return joined(encodeSizes(total), ...entries);
}
