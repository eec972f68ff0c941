/** Whether a channel asks for sends without copies, and how much it sends at once. */
import { channelFlag } from "../../ffi/structs.ts";
import { family } from "../address/sockaddr.ts";
import type { Connection } from "../endpoint/connection.ts";
import { getInt, level, option, setInt } from "../endpoint/socket.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { errnoName, ZcError } from "../errors.ts";

export const channelModes = ["auto", "msg-zerocopy", "copy"] as const;
export type ChannelMode = (typeof channelModes)[number];

export interface Choice {
  readonly mode: "msg-zerocopy" | "copy";
  readonly why: string;
  /** Of channelFlag. */
  readonly flags: number;
  /** Bytes a send, at most. */
  readonly piece: number;
}

const KiB = 1024;
const pieceDefault = 1024 * KiB;
/** vsock sends without copies what the peer has room for: docs/measurements.md. */
const pieceOverVsock = 256 * KiB;
/** Shorter sends are cheaper copied: docs/measurements.md. */
export const worthwhile = 16 * KiB;

/** Throws UNSUPPORTED where `msg-zerocopy` is asked for, and the socket has none. */
export function choose(connection: Connection, mode: ChannelMode, chunk?: number): Choice {
  const isVsock = connection.domain === family.vsock;
  const wanted = chunk ?? (isVsock ? pieceOverVsock : pieceDefault);
  const piece = Math.min(wanted, (isVsock && vsockSendMax()) || wanted);
  const refusal = mode === "copy" ? "asked for" : tryZerocopy(connection.fd);
  if (refusal !== undefined && mode === "msg-zerocopy") {
    throw new ZcError({
      code: "UNSUPPORTED",
      operation: "send without copies to",
      subject: connection.peer,
      reason: refusal,
      hint: "mode auto copies there",
    });
  }
  if (refusal !== undefined) return { mode: "copy", why: refusal, flags: channelFlag.copy, piece };
  const required = mode === "msg-zerocopy" ? channelFlag.required : 0;
  const adapt = isVsock && chunk === undefined ? channelFlag.adapt : 0;
  const why = mode === "auto" ? "the socket can send a user's pages" : "asked for";
  return { mode: "msg-zerocopy", why, flags: required | adapt, piece };
}

/** Why the socket has no MSG_ZEROCOPY; undefined where it has. Leaves it as it was. */
function tryZerocopy(fd: number): string | undefined {
  if (getInt(fd, level.socket, option.zerocopy) === 1)
    return "somebody else uses MSG_ZEROCOPY on this socket";
  const errno = -setInt(fd, level.socket, option.zerocopy, 1);
  if (errno !== 0) return `it has no MSG_ZEROCOPY (${errnoName(errno)})`;
  setInt(fd, level.socket, option.zerocopy, 0);
  return undefined;
}
