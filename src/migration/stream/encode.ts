/** Elements back to bytes: what the parser reads, byte for byte. Pure. */
import type { Configuration, Element, Section, SectionKind } from "./elements.ts";
import { magic, sectionType } from "./format.ts";
import { counted, joined, u8, u16, u32 } from "./joined.ts";

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
      return whole(element.header, element.data);
    case "header":
      return whole(u32(magic), u32(element.version));
    case "configuration":
      return whole(encodeConfiguration(element));
    case "command": {
      const { number, data } = element;
      return whole(u8(sectionType.command), u16(number), u16(data.length), data);
    }
    case "eof":
      return whole(u8(sectionType.eof));
    case "description": {
      const { text } = element;
      return whole(u8(sectionType.description), u32(text.length), text);
    }
    case "undelimited":
      return whole(element.bytes);
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
  const isNamed = kind === "start" || kind === "full";
  const names = isNamed ? [counted(name), u32(instance), u32(version)] : [];
  return joined(u8(sectionType[kind]), u32(id), ...names);
}

export function encodeFooter(id: number): Uint8Array {
  return joined(u8(sectionType.footer), u32(id));
}

function encodeSection({ type, hasFooter, payload, ...section }: Section): Encoded {
  const head = encodeSectionHeader(type, section);
  const after = hasFooter ? encodeFooter(section.id) : nothing;
  if (payload.kind !== "opaque") return { before: head, bulk: payload.length, after };
  return { before: joined(head, payload.bytes), bulk: 0, after };
}

type ConfigurationFields = Pick<Configuration, "machine" | "pageBits" | "capabilities" | "uuid">;

function encodeConfiguration(configuration: ConfigurationFields): Uint8Array {
  const { machine, pageBits, capabilities, uuid } = configuration;
  const name = new TextEncoder().encode(machine);
  return joined(
    ...[u8(sectionType.configuration), u32(name.length), name],
    ...(pageBits === undefined ? [] : [subsection("target-page-bits"), u32(pageBits)]),
    ...(capabilities === undefined
      ? []
      : [subsection("capabilities"), u32(capabilities.length), ...capabilities.map(counted)]),
    ...(uuid === undefined ? [] : [subsection("uuid"), Uint8Array.fromHex(uuid)]),
  );
}

function subsection(name: string): Uint8Array {
  const header = [u8(sectionType.subsection), counted(`configuration/${name}`)];
  return joined(...header, u32(subsectionVersion));
}

function whole(...parts: readonly Uint8Array[]): Encoded {
  return { before: joined(...parts), bulk: 0, after: nothing };
}
