/** The CONFIGURATION element: QEMU, vmstate_configuration in migration/savevm.c. */
import type { Cursor } from "./cursor.ts";
import type { Configuration } from "./elements.ts";
import { limits, sectionType } from "./format.ts";
import { hex, malformed, quoted } from "./malformed.ts";

type Fields = Pick<Configuration, "pageBits" | "capabilities" | "uuid">;

const prefix = "configuration/";
/** In the order in which they come. */
const readers: Readonly<Record<string, (cursor: Cursor) => Fields>> = {
  "target-page-bits": (cursor) => ({ pageBits: readPageBits(cursor) }),
  capabilities: (cursor) => ({ capabilities: readCapabilities(cursor) }),
  uuid: (cursor) => ({ uuid: cursor.copy(16).toHex() }),
};

/** Behind its type. Throws Incomplete, PROTOCOL. */
export function readConfiguration(cursor: Cursor): Omit<Configuration, "offset" | "length"> {
  const { offset } = cursor;
  const length = cursor.u32();
  if (length > limits.machineName)
    throw malformed({ offset, expected: "a machine's name", found: `${length} bytes` });
  const machine = cursor.text(length);
  let fields: Fields = {};
  for (let next = 0; cursor.peek() === sectionType.subsection; next++) {
    const { offset } = cursor;
    const { index, read } = findSubsection(cursor);
    if (index < next)
      throw malformed({
        offset,
        expected: "each subsection once, in order",
        found: names[index] ?? "",
      });
    fields = { ...fields, ...read(cursor) };
    next = index;
  }
  return { type: "configuration", machine, ...fields };
}

const names = Object.keys(readers);

function findSubsection(cursor: Cursor) {
  const { offset } = cursor;
  cursor.u8();
  const name = cursor.name();
  const version = cursor.u32();
  const index = names.findIndex((known) => name === `${prefix}${known}`);
  const read = readers[names[index] ?? ""];
  if (read === undefined || version !== 1)
    throw malformed({
      offset,
      expected: "a subsection of the configuration, once",
      found: `${quoted(name)} of version ${version}`,
    });
  return { index, read };
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
