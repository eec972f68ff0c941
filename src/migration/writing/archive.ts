/**
 * A stream as a folder, without loss: elements.ndjson tells its elements in order, each device and the
 * description have a file, and bulk.bin has what is not kept apart, RAM's records above all. Captured
 * channels are in it as they are.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ZcError } from "../../errors.ts";
import { reading, writeAt, writing } from "../../files.ts";
import { parseJson } from "../../json.ts";
import { partName } from "../../transfer/output.ts";
import { openSource } from "../../transfer/source.ts";
import type { Element, Section } from "../stream/elements.ts";
import { type Encoded, encodeElement } from "../stream/encode.ts";
import { commandNames } from "../stream/format.ts";
import { type ArchiveLine, archiveLineSchema } from "./archive.schema.ts";
import { copyFile, type StreamWriter } from "./writer.ts";

const indexName = "elements.ndjson";
const bulkName = "bulk.bin";
/** What is all zeros, so many bytes of it, becomes a hole. */
const holeSize = 64 << 10;
const zeros = new Uint8Array(holeSize);

/** Disposing leaves nothing behind of what was not committed. */
export class ArchiveWriter implements Disposable {
  readonly #folder: string;
  readonly #part: string;
  readonly #lines: string[] = [];
  readonly #bulk: number;
  #position = 0;
  #files = 0;
  #channels = 0;
  #isOpen = true;

  /** Throws WRITE_SINK: the folder is there already, too. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#part = partName(folder);
    writing(folder, () => {
      mkdirSync(folder); // says at once that it exists, and keeps others from it
      mkdirSync(this.#part);
    });
    this.#bulk = writing(folder, () => openSync(join(this.#part, bulkName), "wx"));
  }

  take(element: Element): void {
    this.#lines.push(JSON.stringify(this.#lineOf(element)));
  }

  /** A file. Throws READ_SOURCE, WRITE_SINK. */
  async addChannel(file: string, signal?: AbortSignal): Promise<void> {
    const name = `channel-${this.#channels++}.bin`;
    await copyFile(file, join(this.#part, name), signal);
    this.#lines.push(JSON.stringify({ type: "channel", file: name }));
  }

  /** What the parser passes on. */
  takeBulk(bytes: Uint8Array): void {
    writing(bulkName, () => {
      for (let at = 0; at < bytes.length; at += holeSize) {
        const part = bytes.subarray(at, at + holeSize);
        if (!isHole(part)) writeAt(this.#bulk, part, this.#position);
        this.#position += part.length;
      }
    });
  }

  commit(): void {
    writing(this.#folder, () => {
      ftruncateSync(this.#bulk, this.#position);
      writeFileSync(join(this.#part, indexName), `${this.#lines.join("\n")}\n`);
      this.#close();
      renameSync(this.#part, this.#folder);
    });
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#close();
    for (const folder of [this.#part, this.#folder])
      rmSync(folder, { recursive: true, force: true });
  }

  #close(): void {
    closeSync(this.#bulk);
    this.#isOpen = false;
  }

  #lineOf(element: Element): ArchiveLine {
    const packaged = element.isPackaged && { packaged: true as const };
    switch (element.type) {
      case "libvirt":
        return { type: "libvirt", file: this.#file("libvirt.bin", encodeElement(element).before) };
      case "header":
        return { type: "header", version: element.version };
      case "configuration": {
        const { offset: _offset, length: _length, ...configuration } = element;
        return configuration as ArchiveLine;
      }
      case "command": {
        const { type, number, data } = element;
        return { type, ...packaged, number, data: data.toHex() };
      }
      case "eof":
        return { type: "eof", ...packaged };
      case "description":
        return { type: "description", file: this.#file("description.json", element.text) };
      case "undelimited":
        return { type: "undelimited", file: this.#file("undelimited.bin", element.bytes) };
      case "trailing":
        return { type: "trailing", bulk: element.length };
      default:
        return { ...this.#sectionLine(element), ...packaged };
    }
  }

  #sectionLine(section: Section) {
    const { type, id, name, instance, version, hasFooter: footer, payload } = section;
    const place =
      payload.kind === "opaque"
        ? { file: this.#file(this.#deviceFile(name), payload.bytes) }
        : { bulk: payload.length };
    return { type, id, name, instance, version, footer, ...place };
  }

  #deviceFile(name: string): string {
    const number = String(this.#files++).padStart(4, "0");
    return `${number}-${name
      .toLowerCase()
      .replace(/[^0-9a-z]+/g, "-")
      .slice(0, 64)}.bin`;
  }

  #file(name: string, bytes: Uint8Array): string {
    writing(name, () => writeFileSync(join(this.#part, name), bytes, { flag: "wx" }));
    return name;
  }
}

/** Writes the stream that an archive is of. Throws READ_SOURCE, PROTOCOL, WRITE_SINK. */
export async function writeArchived(folder: string, writer: StreamWriter): Promise<void> {
  using bulk = await openSource(join(folder, bulkName));
  for (const line of linesOf(folder)) {
    const { before, bulk: length, after } = encodeLine(line, folder);
    await writer.write(before);
    await writer.copy(bulk.descriptor.fd, length, bulk.name);
    await writer.write(after);
  }
}

/** The files of an archive that are captured channels. Throws READ_SOURCE, PROTOCOL. */
export function archivedChannels(folder: string): readonly string[] {
  const files: string[] = [];
  for (const line of linesOf(folder))
    if (line.type === "channel") files.push(join(folder, line.file));
  return files;
}

function* linesOf(folder: string): Generator<ArchiveLine> {
  const index = readArchived(folder, indexName).toString();
  for (const [number, text] of index.trimEnd().split("\n").entries())
    yield parseLine(text, number + 1, folder);
}

function parseLine(text: string, number: number, folder: string): ArchiveLine {
  const { success, data, error } = archiveLineSchema.safeParse(parseJson(text));
  if (success) return data;
  throw new ZcError({
    code: "PROTOCOL",
    operation: "read",
    subject: `${join(folder, indexName)}, line ${number}`,
    reason: error.issues[0]?.message ?? "it is no element",
  });
}

function encodeLine(line: ArchiveLine, folder: string): Encoded {
  const at = { offset: 0, length: 0 };
  const read = (name: string) => readArchived(folder, name);
  switch (line.type) {
    case "libvirt":
      return { before: read(line.file), bulk: 0, after: new Uint8Array(0) };
    case "header":
    case "configuration":
    case "eof":
      return encodeElement({ ...line, ...at });
    case "command": {
      const { type, number, data } = line;
      const name = commandNames[number] ?? "";
      return encodeElement({ type, number, name, data: Uint8Array.fromHex(data), ...at });
    }
    case "description":
      return encodeElement({ type: "description", text: read(line.file), ...at });
    case "undelimited":
      return encodeElement({ type: "undelimited", bytes: read(line.file), ...at });
    case "trailing":
      return encodeElement({ type: "trailing", offset: 0, length: line.bulk });
    case "channel":
      return { before: new Uint8Array(0), bulk: 0, after: new Uint8Array(0) };
    default: {
      const { footer: hasFooter, file, bulk: length = 0, ...section } = line;
      const payload =
        file === undefined
          ? ({ kind: "vfio", length, records: [] } as const)
          : ({ kind: "opaque", bytes: read(file) } as const);
      return encodeElement({ ...section, hasFooter, payload, ...at });
    }
  }
}

function readArchived(folder: string, name: string): Buffer {
  const file = join(folder, name);
  return reading(file, () => readFileSync(file));
}

function isHole(part: Uint8Array): boolean {
  return part.length === holeSize && Buffer.compare(part, zeros) === 0;
}
