/** The end of a stream without footers: its description tells where sections end. */
import { type Cursor, Cursor as Reader } from "./cursor.ts";
import { type Device, parseDescription, type StreamDescription } from "./description.ts";
import type { Description, Element, Section } from "./elements.ts";
import { Budget, decodeDevice } from "./fields.ts";
import { limits, sectionType } from "./format.ts";
import { malformed } from "./malformed.ts";

export class Tail {
  readonly #offset: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(offset: number) {
    this.#offset = offset;
  }

  take(cursor: Cursor): void {
    const part = cursor.copy(cursor.left);
    cursor.commit();
    this.#length += part.length;
    this.#parts.push(part);
    if (this.#length > limits.section)
      throw malformed({
        offset: this.#offset,
        expected: "devices without footers, and a description",
        found: `more than ${limits.section} bytes`,
      });
  }

  /** All that it has; what cannot be told apart is one. */
  elements(): readonly Element[] {
    const bytes = Buffer.concat(this.#parts);
    const offset = this.#offset;
    // No JSON has this byte; its length, which is before it, may.
    const last = bytes.lastIndexOf(sectionType.description);
    for (let at = last; at >= Math.max(last - 4, 1); at--) {
      const found = descriptionAt(bytes, at, offset);
      const sections = found && sectionsOf(bytes.subarray(0, at), offset, found.description);
      if (sections) return [...sections, found.element];
    }
    return [{ type: "undelimited", offset, length: bytes.length, bytes }];
  }
}

interface Found {
  readonly element: Description;
  readonly description: StreamDescription;
}

/** One that goes from here to the end. */
function descriptionAt(bytes: Buffer, at: number, base: number): Found | undefined {
  const begin = at + 5;
  const isWhole = begin < bytes.length && bytes.readUInt32BE(at + 1) === bytes.length - begin;
  const isType = bytes[at] === sectionType.description;
  if (!isType || !isWhole || bytes.length - begin > limits.description) return undefined;
  const text = bytes.subarray(begin);
  const description = parseDescription(text);
  if (typeof description === "string") return undefined;
  const length = bytes.length - at;
  return { description, element: { type: "description", offset: base + at, length, text } };
}

/** The devices', and the end; undefined where they are not what the description says. */
function sectionsOf(
  bytes: Uint8Array,
  base: number,
  description: StreamDescription,
): Element[] | undefined {
  const cursor = new Reader(bytes, base);
  const elements: Element[] = [];
  const budget = new Budget();
  const named = description.devices.map(
    (device) => [`${device.instance_id} ${device.name}`, device] as const,
  );
  const devices = new Map(named);
  try {
    while (cursor.left > 0) {
      const { offset } = cursor;
      const type = cursor.u8();
      if (type === sectionType.eof) elements.push({ type: "eof", offset, length: 1 });
      else if (type === sectionType.full) elements.push(readFull(cursor, offset, devices, budget));
      else return undefined;
    }
  } catch {
    return undefined; // too short, or another's
  }
  return elements;
}

function readFull(
  cursor: Cursor,
  offset: number,
  devices: ReadonlyMap<string, Device>,
  budget: Budget,
): Section {
  const [id, name, instance, version] = [cursor.u32(), cursor.name(), cursor.u32(), cursor.u32()];
  const device = devices.get(`${instance} ${name}`);
  if (device === undefined || !budget.spend(1)) throw new Error(`no device ${name}`);
  const { length } = decodeDevice(device, cursor.rest(), budget);
  const payload = { kind: "opaque", bytes: cursor.copy(length) } as const;
  const at = { offset, length: cursor.offset - offset };
  return { type: "full", id, name, instance, version, hasFooter: false, payload, ...at };
}
