/**
 * A stream in another form: RAM's last state, once, and the devices after it. What was sent again,
 * XBZRLE, multifd's channels, commands and postcopy's package are all resolved on the way.
 */
import { ZcError } from "../../errors.ts";
import { pagesIn, type Ram } from "../ram/ram.ts";
import type { Block, Configuration, Description, Element, Section } from "../stream/elements.ts";
import { encodeElement } from "../stream/encode.ts";
import { version } from "../stream/format.ts";
import { hex } from "../stream/malformed.ts";

/** What of a stream is written again, in its order. */
export interface Converted {
  readonly configuration?: Configuration | undefined;
  readonly ram: Section;
  readonly blocks: readonly Block[];
  readonly devices: readonly Section[];
  readonly description?: Description | undefined;
}

const mappedRam = "mapped-ram";

/** Gathers it from elements. */
export class Gatherer {
  #configuration: Configuration | undefined;
  #ram: Section | undefined;
  readonly #blocks: Block[] = [];
  readonly #devices: Section[] = [];
  #description: Description | undefined;

  /** Throws UNSUPPORTED for what cannot be written in another form. */
  take(element: Element): void {
    if (element.type === "configuration") this.#configuration = element;
    if (element.type === "description") this.#description = element;
    if (element.type === "undelimited")
      throw unsupported(element, "devices that cannot be told apart");
    if ("payload" in element) this.#takeSection(element);
  }

  /** Throws UNSUPPORTED: a stream without RAM. */
  result(): Converted {
    if (this.#ram === undefined)
      throw new ZcError({
        code: "UNSUPPORTED",
        operation: "convert",
        reason: "there is no RAM in it",
      });
    return {
      configuration: this.#configuration,
      ram: this.#ram,
      blocks: this.#blocks,
      devices: this.#devices,
      description: this.#description,
    };
  }

  #takeSection(section: Section): void {
    const { payload } = section;
    if (payload.kind === "vfio") throw unsupported(section, "a VFIO device's data");
    if (payload.kind === "opaque") {
      this.#devices.push(section);
      return;
    }
    this.#ram ??= section;
    this.#blocks.push(...payload.blocks);
  }
}

/** The stream's begin: header and configuration, as this form has them. */
export function encodeBegin(
  configuration: Configuration | undefined,
  isMapped: boolean,
): Uint8Array {
  const at = { offset: 0, length: 0 };
  const header = encodeElement({ type: "header", version, ...at }).before;
  if (configuration === undefined) return header;
  const others = configuration.capabilities?.filter((name) => name !== mappedRam) ?? [];
  const capabilities = isMapped ? [...others, mappedRam] : others;
  const { capabilities: _before, ...rest } = configuration;
  const changed = { ...rest, ...(capabilities.length > 0 && { capabilities }) };
  return Buffer.concat([header, encodeElement(changed).before]);
}

/** All that comes after RAM. */
export function encodeEnd({ devices, description }: Converted): Uint8Array {
  const at = { offset: 0, length: 0 };
  const elements: Element[] = [...devices, { type: "eof", ...at }];
  if (description !== undefined) elements.push(description);
  const parts = elements.flatMap((element) => {
    const { before, after } = encodeElement(element);
    return [before, after];
  });
  return Buffer.concat(parts);
}

/** Whether its pages are in the stream: with x-ignore-shared those of some blocks are not. */
export function isSent(ram: Ram, { name, guestAddress }: Block): boolean {
  return guestAddress === undefined || pagesIn(ram.countsOf(name)) > 0;
}

function unsupported({ offset }: Element, what: string): ZcError {
  const subject = `${what}, at offset ${hex(offset)}`;
  return new ZcError({ code: "UNSUPPORTED", operation: "convert", subject });
}
