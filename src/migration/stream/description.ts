/** The description that ends most streams: which devices, and what fields their bytes are. */
import * as z from "zod";
import { limits } from "./format.ts";

export interface Field {
  readonly name: string;
  readonly type: string;
  /** Bytes; of one, where there are several. */
  readonly size: number;
  /** So many of them, one after the other. */
  readonly array_len?: number | undefined;
  /** Of the next of several. */
  readonly index?: number | undefined;
  readonly struct?: Structure | undefined;
}

export interface Structure {
  readonly vmsd_name?: string | undefined;
  readonly version?: number | undefined;
  readonly fields?: readonly Field[] | undefined;
  readonly subsections?: readonly Structure[] | undefined;
}

export interface Device extends Structure {
  readonly name: string;
  readonly instance_id: number;
}

export interface StreamDescription {
  readonly page_size?: number | undefined;
  readonly configuration?: Structure | undefined;
  readonly devices: readonly Device[];
}

const count = z.int().nonnegative();

const field: z.ZodType<Field> = z.looseObject({
  name: z.string(),
  type: z.string(),
  size: count,
  array_len: count.optional(),
  index: count.optional(),
  get struct() {
    return structure.optional();
  },
});

const structureShape = {
  vmsd_name: z.string().optional(),
  version: z.int().optional(),
  get fields() {
    return z.array(field).optional();
  },
  get subsections() {
    return z.array(structure).optional();
  },
};

const structure: z.ZodType<Structure> = z.looseObject(structureShape);

const schema: z.ZodType<StreamDescription> = z.looseObject({
  page_size: count.optional(),
  configuration: structure.optional(),
  devices: z.array(z.looseObject({ ...structureShape, name: z.string(), instance_id: z.int() })),
});

/** What the text says, or why it says nothing. */
export function parseDescription(text: Uint8Array): StreamDescription | string {
  if (countOf(text, 0x7b) > limits.objects) return `more than ${limits.objects} objects`;
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(text));
    const { success, data, error } = schema.safeParse(json);
    if (success) return data;
    const [issue] = error.issues;
    return `${issue?.path.join(".")}: ${issue?.message}`.slice(0, reasonMax);
  } catch (error) {
    // No JSON; or so deep that no stack is enough.
    return String(error instanceof Error ? error.message : error).slice(0, reasonMax);
  }
}

function countOf(bytes: Uint8Array, wanted: number): number {
  let count = 0;
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count++;
  return count;
}

/** It may quote the text. */
const reasonMax = 200;

/** What stands for a section: PART and END are of their START's device. */
export function deviceOf(
  { devices }: StreamDescription,
  name: string,
  instance: number,
): Device | undefined {
  return devices.find((device) => device.name === name && device.instance_id === instance);
}
