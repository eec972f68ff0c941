/** The CONFIGURATION element: QEMU, vmstate_configuration in migration/savevm.c. */
import type { Cursor } from "./cursor.ts";
import type { Configuration } from "./elements.ts";
import { limits, sectionType } from "./format.ts";
import { hex, malformed, quoted } from "./malformed.ts";

type Fields = Pick<Configuration, "pageBits" | "capabilities" | "uuid">;

const prefix = "configuration/";
const readers = new Map<string, (cursor: Cursor) => Fields>([
  ["target-page-bits", (cursor) => ({ pageBits: readPageBits(cursor) })],
  ["capabilities", (cursor) => ({ capabilities: readCapabilities(cursor) })],
  ["uuid", (cursor) => ({ uuid: cursor.copy(16).toHex() })],
]);

/** Behind its type. Throws Incomplete, PROTOCOL. */
export function readConfiguration(cursor: Cursor): Omit<Configuration, "offset" | "length"> {
  const { offset } = cursor;
  const length = cursor.u32();
  if (length > limits.machineName)
    throw malformed({ offset, expected: "a machine's name", found: `${length} bytes` });
  const machine = cursor.text(length);
  let fields: Fields = {};
  const left = new Map(readers);
  while (cursor.peek() === sectionType.subsection)
    fields = { ...fields, ...readSubsection(cursor, left) };
  return { type: "configuration", machine, ...fields };
}

/** Takes its reader out of `left`: each comes once. */
function readSubsection(cursor: Cursor, left: typeof readers): Fields {
  const { offset } = cursor;
  cursor.u8();
  const name = cursor.name();
  const version = cursor.u32();
  const key = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  const read = left.get(key);
  if (read === undefined || version !== 1)
    throw malformed({
      offset,
      expected: "a subsection of the configuration, once",
      found: `${quoted(name)} of version ${version}`,
    });
  left.delete(key);
  return read(cursor);
}

function readPageBits(cursor: Cursor): number {
  const { offset } = cursor;
  const bits = cursor.u32();
  if (bits < 10 || bits > 16)
    throw malformed({ offset, expected: "10 to 16 bits of a page", found: hex(bits) });
  return bits;
}

function readCapabilities(cursor: Cursor): string[] {
  const { offset } = cursor;
  const count = cursor.u32();
  if (count > limits.capabilities)
    throw malformed({ offset, expected: "a few capabilities", found: `${count}` });
  return Array.from({ length: count }, () => cursor.name());
}
