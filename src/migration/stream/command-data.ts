/** What a command carries: QEMU, migration/savevm.c. */
import { Cursor } from "./cursor.ts";

export type CommandFields = Readonly<Record<string, unknown>>;

const readers: Readonly<Record<string, (cursor: Cursor) => CommandFields>> = {
  ping: (cursor) => ({ value: cursor.u32() }),
  "postcopy-advise": (cursor) =>
    cursor.left === 0
      ? {}
      : { pageSizes: Number(cursor.u64()), targetPageSize: Number(cursor.u64()) },
  "postcopy-ram-discard": (cursor) => {
    cursor.u8(); // a version, of which there is one
    const block = cursor.name();
    cursor.u8(); // an end to the name
    const ranges = [];
    while (cursor.left > 0)
      ranges.push({ start: Number(cursor.u64()), length: Number(cursor.u64()) });
    return { block, ranges };
  },
  packaged: (cursor) => ({ bytes: cursor.u32() }),
  "recv-bitmap": (cursor) => ({ block: cursor.name() }),
};

/** Fields by name; `data`, hexadecimal, where it is not what the command should have. */
export function commandFields(name: string, data: Uint8Array): CommandFields {
  const cursor = new Cursor(data, 0);
  try {
    const fields = readers[name]?.(cursor) ?? {};
    if (cursor.left === 0) return fields;
  } catch {
    // shorter than it should be
  }
  return { data: data.toHex() };
}
