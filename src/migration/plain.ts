/** Writes a plain stream: one pass over RAM, and the devices. */
import { ByteWriter } from "./byte-writer.ts";
import { type Converted, encodeBegin, encodeEnd, isSent } from "./convert.ts";
import type { Block } from "./elements.ts";
import { encodeBlock, encodeFooter, encodeSectionHeader } from "./encode.ts";
import { ramFlag } from "./format.ts";
import type { Ram } from "./ram.ts";
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
  const endOfSection = new ByteWriter().u64(ramFlag.eos).bytes(footer).build();
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
  const list = new ByteWriter().u64(BigInt(total) | BigInt(ramFlag.sizes));
  for (const { name, size, guestAddress } of blocks)
    list.bytes(encodeBlock({ name, size, guestAddress }));
  return list.build();
}
