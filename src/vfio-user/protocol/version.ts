/**
 * VERSION, each side's first message: a version, and optionally JSON of what it can do. vfio-user
 * specification, "VFIO_USER_VERSION"; `migration` is no longer in it, but QEMU and libvfio-user send it.
 */
import * as z from "zod";
import { parseJson } from "../../json.ts";
import { joinBytes, RecordLayout } from "../../vfio/record.ts";
import { decodeStruct, Malformed } from "./malformed.ts";

const layout = new RecordLayout({ major: "u16", minor: "u16" });
const count = z.int().nonnegative();
/** Of u64, as far as a number is exact. */
const mask = z.number().nonnegative().refine(Number.isInteger);

const twinSocketSchema = z.object({
  supported: z.boolean().optional(),
  fd_index: count.optional(),
});
const migrationSchema = z.object({ pgsize: mask.optional(), max_bitmap_size: mask.optional() });

export const capabilitiesSchema = z.object({
  max_msg_fds: count.optional().describe("that the sender takes in a message; else 1"),
  max_data_xfer_size: count.optional().describe("bytes; else 1048576"),
  max_dma_maps: count.optional().describe("at a time; else 65535"),
  pgsizes: mask.optional().describe("of DMA maps, or'ed together; else 4096"),
  write_multiple: z.boolean().optional().describe("REGION_WRITE_MULTI is taken"),
  twin_socket: twinSocketSchema.optional().describe("the server's commands have their own socket"),
  migration: migrationSchema.optional().describe("the page size of dirty bitmaps"),
});

const topSchema = z.looseObject({ capabilities: z.looseObject({}).optional() });

/** As the JSON has them. */
export type Capabilities = z.infer<typeof capabilitiesSchema>;

/** What a side that says nothing of it can do. */
export const capabilityDefaults = {
  max_msg_fds: 1,
  max_data_xfer_size: 1 << 20,
  max_dma_maps: 65535,
  pgsizes: 4096,
  write_multiple: false,
} as const satisfies Capabilities;

export interface Version {
  readonly major: number;
  readonly minor: number;
  /** undefined: there is no JSON. */
  readonly capabilities?: Capabilities | undefined;
}

export interface DecodedVersion extends Version {
  /** Keys that the specification has not, "capabilities.x"; a peer's text. */
  readonly unknown: readonly string[];
}

/** Of the JSON, with its NUL; bytes. */
const jsonMax = 64 << 10;

export function encodeVersion({ major, minor, capabilities }: Version): Uint8Array<ArrayBuffer> {
  const json = capabilities === undefined ? "" : `${JSON.stringify({ capabilities })}\0`;
  return joinBytes(layout.encode({ major, minor }), new TextEncoder().encode(json));
}

/** Keys that are not known are left out of the capabilities. Throws Malformed. */
export function decodeVersion(payload: Uint8Array): DecodedVersion {
  const { major, minor } = decodeStruct(layout, "a version", payload);
  const json = payload.subarray(layout.size);
  if (json.length === 0) return { major, minor, unknown: [] };
  return { major, minor, ...decodeCapabilities(decodeText(json)) };
}

function decodeText(json: Uint8Array): string {
  if (json.length > jsonMax) throw malformed(`${jsonMax} bytes of JSON or less`, `${json.length}`);
  if (json.at(-1) !== 0) throw malformed("JSON that a NUL ends", "no NUL");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(json.subarray(0, -1));
  } catch {
    throw malformed("JSON in UTF-8", "other bytes");
  }
}

function decodeCapabilities(text: string): Pick<DecodedVersion, "capabilities" | "unknown"> {
  const top = topSchema.safeParse(parseJson(text));
  if (!top.success) throw malformed("a JSON object of capabilities", "none");
  const { capabilities = {} } = top.data;
  const known = capabilitiesSchema.safeParse(capabilities);
  if (!known.success) {
    const [issue] = known.error.issues;
    throw malformed(`capabilities.${issue?.path.join(".")} of its type`, `${issue?.message}`);
  }
  const { twin_socket, migration } = capabilities as Capabilities;
  const unknown = [
    ...unknownKeys("", top.data, topSchema),
    ...unknownKeys("capabilities.", capabilities, capabilitiesSchema),
    ...unknownKeys("capabilities.twin_socket.", twin_socket, twinSocketSchema),
    ...unknownKeys("capabilities.migration.", migration, migrationSchema),
  ];
  return { capabilities: known.data, unknown };
}

function unknownKeys(path: string, value: object | undefined, schema: z.ZodObject): string[] {
  return Object.keys(value ?? {})
    .filter((key) => !Object.hasOwn(schema.shape, key))
    .map((key) => `${path}${key}`);
}

function malformed(expected: string, found: string): Malformed {
  return new Malformed({ offset: layout.size, expected, found });
}
