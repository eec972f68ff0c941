/**
 * Gives devices their fields. The description that says what they are comes last, so elements are
 * held back from the first device on; not those of a package, which has no description.
 */
import { deviceOf, parseDescription, type StreamDescription } from "./description.ts";
import { decodeDirtyBitmaps, dirtyBitmapName } from "./dirty-bitmap.ts";
import type { Element, OpaquePayload, Section } from "./elements.ts";
import { decodeDevice, type FieldValue, Mismatch } from "./fields.ts";

export interface Described {
  readonly element: Element;
  /** Of a device's section, where the description tells of it. */
  readonly fields?: { readonly [name: string]: FieldValue } | undefined;
  /** Why the description, or what it says of this device, is not to be believed. */
  readonly problem?: string | undefined;
}

/** Devices' bytes that wait at once; with more, they go without fields. */
const heldMax = 64 << 20;

export class Describer {
  readonly #onDescribed: (described: Described) => void;
  #held: Element[] = [];
  #bytes = 0;

  constructor(onDescribed: (described: Described) => void) {
    this.#onDescribed = onDescribed;
  }

  take(element: Element): void {
    const waits = isDevice(element) && !element.isPackaged;
    if (!waits && this.#held.length === 0) {
      this.#onDescribed(describe(element, undefined));
      return;
    }
    this.#held.push(element);
    if (waits) this.#bytes += element.payload.bytes.length;
    if (element.type === "description") this.#release(element.text);
    else if (this.#bytes > heldMax) this.#release();
  }

  /** No description comes. */
  end(): void {
    this.#release();
  }

  #release(text?: Uint8Array): void {
    const held = this.#held;
    this.#held = [];
    this.#bytes = 0;
    const description = text && parseDescription(text);
    for (const element of held) this.#onDescribed(describe(element, description));
  }
}

function describe(
  element: Element,
  description: StreamDescription | string | undefined,
): Described {
  if (isDirtyBitmap(element))
    return attempt(element, () => ({ fields: decodeDirtyBitmaps(element.payload.bytes) }));
  if (typeof description === "string")
    return element.type === "description" ? { element, problem: description } : { element };
  if (description === undefined || !isDevice(element) || element.isPackaged) return { element };
  const device = deviceOf(description, element.name, element.instance);
  if (device === undefined) return { element, problem: "the description does not tell of it" };
  return attempt(element, () => {
    const { fields, length } = decodeDevice(device, element.payload.bytes);
    return { fields, problem: tooLong(element.payload.bytes.length - length) };
  });
}

function attempt(element: Element, decode: () => Omit<Described, "element">): Described {
  try {
    return { element, ...decode() };
  } catch (error) {
    if (error instanceof Mismatch) return { element, problem: error.message };
    throw error;
  }
}

function tooLong(bytes: number): string | undefined {
  return bytes === 0 ? undefined : `${bytes} bytes that the description does not tell of`;
}

type OpaqueSection = Section & { payload: OpaquePayload };

/** What the description can tell of: a whole device, which nothing of ours reads. */
function isDevice(element: Element): element is OpaqueSection {
  const isWhole = element.type === "full" || element.type === "start";
  return isWhole && element.payload.kind === "opaque" && element.name !== dirtyBitmapName;
}

function isDirtyBitmap(element: Element): element is OpaqueSection {
  const isOpaque = "payload" in element && element.payload.kind === "opaque";
  return isOpaque && element.name === dirtyBitmapName;
}
