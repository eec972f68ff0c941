/**
 * A device's payload has no length: it ends where its footer stands, with something behind it that
 * can follow a section. (The description, which comes last, tells better; it is held against this.)
 */
import { type Cursor, Incomplete } from "./cursor.ts";
import type { OpaquePayload, SectionName } from "./elements.ts";
import { commandNames, limits, sectionType } from "./format.ts";
import { malformed } from "./malformed.ts";
import type { PayloadReader } from "./payload.ts";

/** Type, id, and the longest header that can be behind. */
const footerLength = 5;
const followerLength = 1 + 4 + 1 + 255 + 4 + 4;
const versionMax = 0xffff;

export class OpaqueReader implements PayloadReader {
  readonly isBulk = false;
  readonly #section: SectionName;
  readonly #offset: number;
  readonly #known: ReadonlyMap<number, SectionName>;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** `known`: the sections so far, which a PART or END can go on with. */
  constructor(section: SectionName, offset: number, known: ReadonlyMap<number, SectionName>) {
    this.#section = section;
    this.#offset = offset;
    this.#known = known;
  }

  read(cursor: Cursor, isLast: boolean): OpaquePayload {
    const bytes = cursor.rest();
    let at = -1;
    for (;;) {
      at = bytes.indexOf(sectionType.footer, at + 1);
      if (at < 0) break;
      const isWhole = bytes.length >= at + footerLength + followerLength;
      if (!isWhole && !isLast) break;
      if (isEnd(bytes.subarray(at), this.#section.id, this.#known)) return this.#end(cursor, at);
    }
    this.#keep(cursor, at < 0 ? bytes.length : at);
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
        expected: `the footer of section ${this.#section.id} ("${this.#section.name}")`,
        found: `none in ${limits.section} bytes`,
      });
    if (count > 0) this.#parts.push(cursor.copy(count));
    cursor.commit();
  }
}

/** Whether a footer of this section stands here, and something that can be behind it. */
function isEnd(bytes: Uint8Array, id: number, known: ReadonlyMap<number, SectionName>): boolean {
  if (bytes.length < footerLength) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(1) !== id) return false;
  return canFollow(view, footerLength, known);
}

function canFollow(view: DataView, at: number, known: ReadonlyMap<number, SectionName>): boolean {
  const left = view.byteLength - at;
  if (left === 0) return true; // the end of a package, or of what there is
  const type = view.getUint8(at);
  if (type === sectionType.eof)
    return left === 1 || view.getUint8(at + 1) === sectionType.description;
  if (type === sectionType.part || type === sectionType.end)
    return left >= 5 && known.has(view.getUint32(at + 1));
  if (type === sectionType.command) return left >= 5 && view.getUint16(at + 1) in commandNames;
  return (type === sectionType.start || type === sectionType.full) && isHeader(view, at);
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
