/** What it means when a socket takes no more. */
import { constants } from "node:os";
import { ZcError } from "../errors.ts";
import { zerocopyMemoryHint } from "../limits.ts";

const { ENOBUFS, EOPNOTSUPP, ETIMEDOUT } = constants.errno;

export function sendError(peer: string, errno: number): ZcError {
  if (errno === ENOBUFS) {
    const operation = "send without copies to";
    const hint = zerocopyMemoryHint();
    return new ZcError({ code: "UNSUPPORTED", operation, subject: peer, errno, hint });
  }
  if (errno === EOPNOTSUPP) {
    const operation = "send without copies to";
    const reason = "the socket has no MSG_ZEROCOPY; kernel TLS takes it away";
    return new ZcError({ code: "UNSUPPORTED", operation, subject: peer, reason, errno });
  }
  const code = errno === ETIMEDOUT ? "TIMEOUT" : "PEER_RESET";
  return new ZcError({ code, operation: "send to", subject: peer, errno });
}
