/** How a section's payload is read, whatever it is. */
import type { Cursor } from "./cursor.ts";
import type { Payload } from "./elements.ts";

export interface PayloadReader {
  /** Its bytes may be many, and are not kept: they are passed on as they are taken. */
  readonly isBulk: boolean;
  /** Goes on, and commits what it has taken. Throws Incomplete until it is whole; PROTOCOL. */
  read(cursor: Cursor, isLast: boolean): Payload;
}
