/** The device as new. Maps and interrupts stay. */
import type { Reply } from "../../connection.ts";
import { emptyReply, type Session } from "../session.ts";

export async function resetDevice(session: Session): Promise<Reply> {
  await session.reset("asked");
  return emptyReply;
}
