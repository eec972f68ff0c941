/** Elements back to bytes: what the parser reads, byte for byte. Pure. */
import { ByteWriter } from "./byte-writer.ts";
import type { Block, Configuration, Element, Section, SectionKind } from "./elements.ts";
import { magic, sectionType } from "./format.ts";

/** An element's bytes, around those that the parser passes on and does not keep. */
export interface Encoded {
  readonly before: Uint8Array;
  /** Bytes of RAM records, VFIO's data, or what trails, in between. */
  readonly bulk: number;
  readonly after: Uint8Array;
}

const nothing = new Uint8Array(0);
const subsectionVersion = 1;

export function encodeElement(element: Element): Encoded {
  switch (element.type) {
    case "libvirt":
      return whole(new ByteWriter().bytes(element.header).bytes(element.data));
    case "header":
      return whole(new ByteWriter().u32(magic).u32(element.version));
    case "configuration":
      return whole(encodeConfiguration(element));
    case "command": {
      const { number, data } = element;
      const head = new ByteWriter().u8(sectionType.command).u16(number).u16(data.length);
      return whole(head.bytes(data));
    }
    case "eof":
      return whole(new ByteWriter().u8(sectionType.eof));
    case "description": {
      const { text } = element;
      return whole(new ByteWriter().u8(sectionType.description).u32(text.length).bytes(text));
    }
    case "undelimited":
      return whole(new ByteWriter().bytes(element.bytes));
    case "trailing":
      return { before: nothing, bulk: element.length, after: nothing };
    default:
      return encodeSection(element);
  }
}

/** A section's type, and whose it is. */
export function encodeSectionHeader(
  kind: SectionKind,
  { id, name, instance, version }: Pick<Section, "id" | "name" | "instance" | "version">,
): Uint8Array {
  const head = new ByteWriter().u8(sectionType[kind]).u32(id);
  if (kind === "start" || kind === "full") head.name(name).u32(instance).u32(version);
  return head.build();
}

export function encodeFooter(id: number): Uint8Array {
  return new ByteWriter().u8(sectionType.footer).u32(id).build();
}

/** One of the list in a "ram" section's START. */
export function encodeBlock({ name, size, pageSize, guestAddress, mapped }: Block): Uint8Array {
  const entry = new ByteWriter().name(name).u64(size);
  if (pageSize !== undefined) entry.u64(pageSize);
  if (guestAddress !== undefined) entry.u64(guestAddress);
  if (mapped !== undefined)
    entry.u32(mapped.version).u64(mapped.pageSize).u64(mapped.bitmapOffset).u64(mapped.pagesOffset);
  return entry.build();
}

function encodeSection({ type, hasFooter, payload, ...section }: Section): Encoded {
  const head = encodeSectionHeader(type, section);
  const after = hasFooter ? encodeFooter(section.id) : nothing;
  if (payload.kind !== "opaque") return { before: head, bulk: payload.length, after };
  return { before: Buffer.concat([head, payload.bytes]), bulk: 0, after };
}

type ConfigurationFields = Pick<Configuration, "machine" | "pageBits" | "capabilities" | "uuid">;

function encodeConfiguration(configuration: ConfigurationFields): ByteWriter {
  const { machine, pageBits, capabilities, uuid } = configuration;
  const name = new TextEncoder().encode(machine);
  const writer = new ByteWriter().u8(sectionType.configuration).u32(name.length).bytes(name);
  if (pageBits !== undefined) subsection(writer, "target-page-bits").u32(pageBits);
  if (capabilities !== undefined) {
    subsection(writer, "capabilities").u32(capabilities.length);
    for (const capability of capabilities) writer.name(capability);
  }
  if (uuid !== undefined) subsection(writer, "uuid").bytes(Uint8Array.fromHex(uuid));
  return writer;
}

function subsection(writer: ByteWriter, name: string): ByteWriter {
  return writer.u8(sectionType.subsection).name(`configuration/${name}`).u32(subsectionVersion);
}

function whole(writer: ByteWriter): Encoded {
  return { before: writer.build(), bulk: 0, after: nothing };
}
