/**
 * A device's payload has no length: it ends where its footer stands, with something behind it that
 * can follow a section. (The description, which comes last, tells better; it is held against this.)
 */
import { type Cursor, Incomplete } from "./cursor.ts";
import type { OpaquePayload, SectionName } from "./elements.ts";
import { commandLengths, limits, sectionType } from "./format.ts";
import { malformed, quoted } from "./malformed.ts";
import type { PayloadReader } from "./payload.ts";

/** Type and id; and the longest header that can be behind. */
const footerLength = 5;
const followerLength = 1 + 4 + 1 + 255 + 4 + 4;
const versionMax = 0xffff;

export class OpaqueReader implements PayloadReader {
  readonly isBulk = false;
  readonly #section: SectionName;
  readonly #offset: number;
  readonly #known: ReadonlyMap<number, SectionName>;
  readonly #footer: Buffer;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** `known`: the sections so far, which a PART or END can go on with. */
  constructor(section: SectionName, offset: number, known: ReadonlyMap<number, SectionName>) {
    this.#section = section;
    this.#offset = offset;
    this.#known = known;
    this.#footer = Buffer.from([sectionType.footer, 0, 0, 0, 0]);
    this.#footer.writeUInt32BE(section.id, 1);
  }

  read(cursor: Cursor, isLast: boolean): OpaquePayload {
    const rest = cursor.rest();
    const bytes = Buffer.from(rest.buffer, rest.byteOffset, rest.length);
    const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
    for (let at = bytes.indexOf(this.#footer); at >= 0; at = bytes.indexOf(this.#footer, at + 1)) {
      const isWhole = bytes.length >= at + footerLength + followerLength;
      if (!isWhole && !isLast) {
        this.#keep(cursor, at);
        throw new Incomplete(cursor.at + footerLength + followerLength);
      }
      if (canFollow(view, at + footerLength, this.#known)) return this.#end(cursor, at);
    }
    this.#keep(cursor, Math.max(bytes.length - footerLength + 1, 0));
    throw new Incomplete(cursor.at + footerLength + followerLength);
  }

  #end(cursor: Cursor, length: number): OpaquePayload {
    this.#keep(cursor, length);
    return { kind: "opaque", bytes: Buffer.concat(this.#parts) };
  }

  #keep(cursor: Cursor, count: number): void {
    this.#length += count;
    if (this.#length > limits.section)
      throw malformed({
        offset: this.#offset,
        expected: `the footer of section ${this.#section.id} (${quoted(this.#section.name)})`,
        found: `none in ${limits.section} bytes`,
      });
    if (count > 0) this.#parts.push(cursor.copy(count));
    cursor.commit();
  }
}

/** A device's bytes can look like its footer; what is behind it must make sense as well. */
function canFollow(view: DataView, at: number, known: ReadonlyMap<number, SectionName>): boolean {
  const left = view.byteLength - at;
  if (left === 0) return true; // the end of a package, or of what there is
  const type = view.getUint8(at);
  if (type === sectionType.eof) return left === 1 || isDescription(view, at + 1);
  if (type === sectionType.part || type === sectionType.end)
    return left >= 5 && known.has(view.getUint32(at + 1));
  if (type === sectionType.command) return isCommand(view, at);
  return (type === sectionType.start || type === sectionType.full) && isHeader(view, at);
}

/** Type, length, and the first of the JSON. */
function isDescription(view: DataView, at: number): boolean {
  if (view.getUint8(at) !== sectionType.description || view.byteLength < at + 5) return false;
  const length = view.getUint32(at + 1);
  return (
    length <= limits.description &&
    (length === 0 || view.byteLength === at + 5 || view.getUint8(at + 5) === 0x7b)
  );
}

function isCommand(view: DataView, at: number): boolean {
  if (view.byteLength < at + 5) return false;
  const lengths = commandLengths[view.getUint16(at + 1)];
  const length = view.getUint16(at + 3);
  return lengths === "any" || lengths?.includes(length) === true;
}

function isHeader(view: DataView, at: number): boolean {
  const nameAt = at + 6;
  if (view.byteLength < nameAt) return false;
  const length = view.getUint8(nameAt - 1);
  const end = nameAt + length;
  if (length === 0 || view.byteLength < end + 8) return false;
  for (let i = nameAt; i < end; i++) {
    const character = view.getUint8(i);
    if (character < 0x20 || character > 0x7e) return false;
  }
  return view.getUint32(end + 4) <= versionMax;
}
