/** What the kernel answers to one request: messages, and then an end, or an error. Pure. */
import { ZcError } from "../errors.ts";
import { decodeMessages, type Message, malformed, viewOf } from "./message.ts";

/** NLMSG_ERROR, with 0 an acknowledgement, and NLMSG_DONE. */
export const replyType = { error: 2, done: 3 } as const;

/** What any of our questions comes to, and far more: nobody reads longer. */
const readsMax = 4096;
const bytesMax = 16 << 20;

/**
 * All replies to the request with this number, until their end; `read` gives what came next. Throws
 * UNSUPPORTED with the kernel's errno, PROTOCOL for what makes no sense, and what `read` throws.
 */
export function collectReplies(sequence: number, read: () => Uint8Array): Message[] {
  const replies: Message[] = [];
  let total = 0;
  for (let reads = 0; reads < readsMax && total <= bytesMax; reads++) {
    const bytes = read();
    total += bytes.length;
    for (const message of decodeMessages(bytes)) {
      if (message.sequence !== sequence) continue; // of a question that was given up
      if (message.type !== replyType.error && message.type !== replyType.done) {
        replies.push(message);
        continue;
      }
      assertNoError(message);
      return replies;
    }
  }
  throw malformed("an answer without an end");
}

function assertNoError({ payload }: Message): void {
  if (payload.length < 4) throw malformed("an end that does not say of what kind");
  const error = viewOf(payload).getInt32(0, true);
  if (error === 0) return;
  throw new ZcError({ code: "UNSUPPORTED", operation: "ask", subject: "netlink", errno: -error });
}
