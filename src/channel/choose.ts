/** Whether a channel asks for sends without copies, and how much it sends at once. */
import { channelFlag } from "../../ffi/structs.ts";
import type { Connection } from "../endpoint/connection.ts";
import { getInt, level, option, setInt } from "../endpoint/socket.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { errnoName, ZcError } from "../errors.ts";
import { familyOf } from "../transfer/meet.ts";
import { askedStep, type Step } from "../transfer/plan.ts";

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

/** Shorter sends are cheaper copied: some 10 KB, says msg_zerocopy.rst; doctor measures it. */
export const worthwhile = 16 * 1024;

/** Throws UNSUPPORTED where `msg-zerocopy` is asked for, and the socket has none. */
export function choose(connection: Connection, mode: ChannelMode, chunk?: number): Choice {
  const step = planZerocopy(connection);
  const piece = Math.min(chunk ?? step.chunk, step.chunkMax);
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
  const adapt = step.adapt && chunk === undefined ? channelFlag.adapt : 0;
  const why = mode === "auto" ? "the socket can send a user's pages" : "asked for";
  return { mode: "msg-zerocopy", why, flags: required | adapt, piece };
}

/** The sizes of a transfer from a device: memory is no kind of descriptor. */
function planZerocopy(connection: Connection): Step {
  const family = familyOf(connection);
  const sendMax = vsockSendMax();
  return askedStep(
    { direction: "send", family, local: "device", vsockSendMax: sendMax },
    "msg-zerocopy",
  );
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
