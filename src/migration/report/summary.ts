/** What a whole stream comes to: `zc migrate info`. */
import { zstdCompressSync } from "node:zlib";
import type { Ram } from "../ram/ram.ts";
import type { DeviceState } from "../stream/device-state.ts";
import type { Block, Configuration, Element, Libvirt, Section } from "../stream/elements.ts";
import type { StreamInfo } from "./info.schema.ts";
import { blockJson } from "./json.ts";

/** How zstd is commonly used for migration: QEMU's multifd-zstd-level. */
const zstdLevel = 1;
/** Pages that are compressed at once: as many as a multifd packet has. */
const zstdPages = 128;

interface SectionTotal {
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  sections: number;
  bytes: number;
}

export class Summary {
  #configuration: Configuration | undefined;
  #libvirt: Libvirt | undefined;
  #version = 0;
  #hasFooters: boolean | undefined;
  #descriptionBytes = 0;
  #trailingBytes = 0;
  #undelimitedBytes = 0;
  #flushes = 0;
  readonly #blocks: Block[] = [];
  readonly #devices = new Map<string, SectionTotal>();
  readonly #commands: string[] = [];
  readonly #deviceStates: StreamInfo["deviceStates"] = [];

  take(element: Element): void {
    switch (element.type) {
      case "libvirt":
        this.#libvirt = element;
        break;
      case "header":
        this.#version = element.version;
        break;
      case "configuration":
        this.#configuration = element;
        break;
      case "command":
        if (this.#commands.length < commandsMax) this.#commands.push(element.name);
        break;
      case "description":
        this.#descriptionBytes = element.length;
        break;
      case "undelimited":
        this.#undelimitedBytes += element.length;
        break;
      case "trailing":
        this.#trailingBytes += element.length;
        break;
      case "eof":
        break;
      default:
        this.#takeSection(element);
    }
  }

  takeDeviceState({ name, instance, bytes, records }: DeviceState): void {
    this.#deviceStates.push({ name, instance, packets: records.length, bytes });
  }

  #takeSection(section: Section): void {
    const { name, instance, version, length, hasFooter, payload } = section;
    this.#hasFooters = hasFooter;
    if (payload.kind === "ram") {
      this.#blocks.push(...payload.blocks);
      this.#flushes += payload.flushes;
    }
    const key = `${name} ${instance}`;
    const total = this.#devices.get(key) ?? { name, instance, version, sections: 0, bytes: 0 };
    total.sections++;
    total.bytes += length;
    this.#devices.set(key, total);
  }

  /** Of a stream that has been read to its end, of so many bytes. */
  info(ram: Ram, bytes: number): StreamInfo {
    const { machine, capabilities = [], uuid } = this.#configuration ?? {};
    return {
      ...{ bytes, version: this.#version, pageSize: ram.pageSize },
      ...(machine !== undefined && { machine }),
      capabilities: [...capabilities],
      ...(uuid !== undefined && { uuid }),
      ...(this.#libvirt && { libvirt: libvirtInfo(this.#libvirt) }),
      ...(this.#hasFooters !== undefined && { footers: this.#hasFooters }),
      ram: this.#ramInfo(ram),
      sections: [...this.#devices.values()].toSorted((a, b) => b.bytes - a.bytes),
      deviceStates: this.#deviceStates,
      commands: this.#commands,
      descriptionBytes: this.#descriptionBytes,
      undelimitedBytes: this.#undelimitedBytes,
      trailingBytes: this.#trailingBytes,
    };
  }

  #ramInfo(ram: Ram): StreamInfo["ram"] {
    const { counts, distinct } = ram;
    const zstdShare = ram.samplePages > 0 ? compressedShare(ram) : undefined;
    return {
      bytes: this.#blocks.reduce((sum, { size }) => sum + size, 0),
      blocks: this.#blocks.map((block) => ({
        ...blockJson(block),
        pages: ram.countsOf(block.name),
      })),
      pages: counts,
      rounds: [...ram.rounds],
      flushes: this.#flushes,
      ...(ram.samplePages > 0 && { distinctPages: distinct }),
      ...(zstdShare !== undefined && { zstdShare }),
    };
  }
}

/** A postcopy migration has some dozens. */
const commandsMax = 1000;

function libvirtInfo({ isComplete, wasRunning, format }: Libvirt) {
  return { complete: isComplete, wasRunning, format };
}

/** Of the pages picked at random, what zstd leaves; undefined where there are none. */
function compressedShare(ram: Ram): number | undefined {
  const sample = ram.sample();
  if (sample.length === 0) return undefined;
  const portion = zstdPages * ram.pageSize;
  let compressed = 0;
  for (let at = 0; at < sample.length; at += portion)
    compressed += zstdCompressSync(sample.subarray(at, at + portion), options).length;
  return compressed / sample.length;
}

const ZSTD_c_compressionLevel = 100;
const options = { params: { [ZSTD_c_compressionLevel]: zstdLevel } };
