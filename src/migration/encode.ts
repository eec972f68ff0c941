/** A stream's elements back to bytes: what the parser does, the other way round. Pure. */
import type { Command, Configuration, Element, Section } from "./elements.ts";
import { magic, sectionType } from "./format.ts";
import { counted, joined, u8, u16, u32 } from "./joined.ts";

/** `bulk`: what the element does not keep: RAM's payload, VFIO's, and what trails. */
export function encodeElement(element: Element, bulk: Uint8Array = nothing): Uint8Array {
  switch (element.type) {
    case "header":
      return joined(u32(magic), u32(element.version));
    case "configuration":
      return encodeConfiguration(element);
    case "command":
      return encodeCommand(element);
    case "eof":
      return u8(sectionType.eof);
    case "description":
      return joined(u8(sectionType.description), u32(element.text.length), element.text);
    case "undelimited":
      return element.bytes;
    case "trailing":
      return bulk;
    default:
      return encodeSection(element, bulk);
  }
}

function encodeConfiguration(configuration: Bare<Configuration>): Uint8Array {
  const machine = Buffer.from(configuration.machine);
  const begin = joined(u8(sectionType.configuration), u32(machine.length), machine);
  // In the order in which they came.
  const subsections = Object.keys(configuration).map((key) => encodeField(key, configuration));
  return joined(begin, ...subsections);
}

function encodeField(key: string, configuration: Bare<Configuration>): Uint8Array {
  const { pageBits, capabilities, uuid } = configuration;
  if (key === "pageBits" && pageBits !== undefined)
    return encodeSubsection("target-page-bits", u32(pageBits));
  if (key === "capabilities" && capabilities !== undefined) {
    const names = capabilities.map(counted);
    return encodeSubsection("capabilities", u32(names.length), ...names);
  }
  if (key === "uuid" && uuid !== undefined)
    return encodeSubsection("uuid", Uint8Array.fromHex(uuid));
  return nothing;
}

function encodeSubsection(name: string, ...fields: readonly Uint8Array[]): Uint8Array {
  const header = [u8(sectionType.subsection), counted(`configuration/${name}`), u32(1)];
  return joined(...header, ...fields);
}

function encodeSection(section: Bare<Section>, bulk: Uint8Array): Uint8Array {
  const { type, id, name, instance, version, hasFooter, payload } = section;
  const isNamed = type === "start" || type === "full";
  return joined(
    u8(sectionType[type]),
    u32(id),
    ...(isNamed ? [counted(name), u32(instance), u32(version)] : []),
    payload.kind === "opaque" ? payload.bytes : bulk,
    ...(hasFooter ? [u8(sectionType.footer), u32(id)] : []),
  );
}

function encodeCommand({ number, data }: Bare<Command>): Uint8Array {
  return joined(u8(sectionType.command), u16(number), u16(data.length), data);
}

/** Where it stands is not of its bytes. */
type Bare<E extends Element> = Omit<E, "offset" | "length">;

const nothing = new Uint8Array();
