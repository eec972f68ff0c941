/** Elements as `zc migrate decode` prints them; element.schema.ts tells what is in them. Pure. */
import { commandFields } from "../stream/command-data.ts";
import type { Described } from "../stream/describer.ts";
import { parseDescription } from "../stream/description.ts";
import type { DeviceState } from "../stream/device-state.ts";
import type { Block, Element, Libvirt, Payload, Section } from "../stream/elements.ts";
import { hex } from "../stream/malformed.ts";
import type { ElementJson } from "./element.schema.ts";

export function toJson({ element, fields, problem }: Described): ElementJson {
  const { type, offset, length } = element;
  const at = { type, offset, length, ...(element.isPackaged && { packaged: true }) };
  const wrong = problem !== undefined && { problem };
  return { ...at, ...detailsOf(element, fields), ...wrong } as ElementJson;
}

export function deviceStateJson({ records, ...state }: DeviceState): ElementJson {
  return { type: "device-state", ...state, records: [...records] };
}

export function blockJson({ guestAddress, ...block }: Block) {
  return { ...block, ...(guestAddress !== undefined && { guestAddress: hex(guestAddress) }) };
}

function detailsOf(element: Element, fields: Described["fields"]): object {
  switch (element.type) {
    case "libvirt":
      return libvirtDetails(element);
    case "header":
      return { version: element.version };
    case "configuration": {
      const { machine, pageBits, capabilities, uuid } = element;
      return {
        machine,
        ...(pageBits !== undefined && { pageBits }),
        ...(capabilities && { capabilities }),
        ...(uuid !== undefined && { uuid }),
      };
    }
    case "command": {
      const { name, number, data } = element;
      return { name, number, ...commandFields(name, data) };
    }
    case "description":
      return descriptionDetails(element.text);
    case "undelimited":
      return { data: element.bytes.toHex() };
    case "eof":
    case "trailing":
      return {};
    default:
      return sectionDetails(element, fields);
  }
}

function libvirtDetails({ version, isComplete, wasRunning, format, data }: Libvirt): object {
  const end = data.indexOf(0);
  const xml = new TextDecoder().decode(data.subarray(0, end < 0 ? data.length : end));
  return { version, complete: isComplete, wasRunning, format, xml };
}

function descriptionDetails(text: Uint8Array): object {
  const description = parseDescription(text);
  return typeof description === "string" ? {} : { devices: description.devices.length };
}

function sectionDetails(
  { id, name, instance, version, hasFooter, payload }: Section,
  fields: Described["fields"],
): object {
  const content = fields === undefined ? payloadDetails(payload) : { fields };
  return { id, name, instance, version, footer: hasFooter, ...content };
}

function payloadDetails(payload: Payload): object {
  if (payload.kind === "opaque") return { data: payload.bytes.toHex() };
  if (payload.kind === "vfio")
    return { vfio: { length: payload.length, records: payload.records } };
  const { length, blocks, counts: pages, flushes } = payload;
  const list = blocks.length > 0 && { blocks: blocks.map(blockJson) };
  return { ram: { length, ...list, pages, flushes } };
}
