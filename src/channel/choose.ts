/** Whether a channel asks for sends without copies, by what, and how much it sends at once. */
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { channelFlag } from "../../ffi/structs.ts";
import type { Connection } from "../endpoint/connection.ts";
import { getInt, level, option, setInt } from "../endpoint/socket.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { errnoName, ZcError } from "../errors.ts";
import { zerocopyMemoryHint } from "../limits.ts";
import { familyOf } from "../transfer/meet.ts";
import { askedStep, type Step } from "../transfer/plan.ts";

export const channelModes = ["auto", "msg-zerocopy", "io-uring", "copy"] as const;
export type ChannelMode = (typeof channelModes)[number];

export interface Choice {
  readonly mode: Exclude<ChannelMode, "auto">;
  readonly why: string;
  /** Of channelFlag. */
  readonly flags: number;
  /** Bytes a send, at most. */
  readonly piece: number;
}

/** Shorter sends are cheaper copied: some 10 KB, says msg_zerocopy.rst; doctor measures it. */
export const worthwhile = 16 * 1024;

/** Throws UNSUPPORTED where sends without copies are asked for by name, and there are none. */
export function choose(connection: Connection, mode: ChannelMode, chunk?: number): Choice {
  const engine = mode === "io-uring" ? mode : "msg-zerocopy";
  const step = planZerocopy(connection, engine);
  const piece = Math.min(chunk ?? step.chunk, step.chunkMax);
  const refusal = mode === "copy" ? "asked for" : refusals[engine](connection.fd);
  if (refusal !== undefined && mode === engine) {
    throw new ZcError({
      code: "UNSUPPORTED",
      operation: "send without copies to",
      subject: connection.peer,
      reason: refusal,
      hint: "mode auto takes what works here",
    });
  }
  if (refusal !== undefined) return { mode: "copy", why: refusal, flags: channelFlag.copy, piece };
  const required = mode === engine ? channelFlag.required : 0;
  const adapt = step.adapt && chunk === undefined ? channelFlag.adapt : 0;
  const ring = engine === "io-uring" ? channelFlag.ioUring : 0;
  const why = mode === "auto" ? "the socket can send a user's pages" : "asked for";
  return { mode: engine, why, flags: required | adapt | ring, piece };
}

/** The sizes of a transfer from a device: memory is no kind of descriptor. */
function planZerocopy(connection: Connection, engine: Engine): Step {
  const family = familyOf(connection);
  const sendMax = vsockSendMax();
  return askedStep({ direction: "send", family, local: "device", vsockSendMax: sendMax }, engine);
}

type Engine = "msg-zerocopy" | "io-uring";

/** Why the socket cannot be sent to without copies; undefined where it can. */
const refusals: Record<Engine, (fd: number) => string | undefined> = {
  "msg-zerocopy": (fd) =>
    isInUse(fd) ? "somebody else uses MSG_ZEROCOPY on this socket" : tryZerocopy(fd),
  "io-uring": (fd) => tryIoUring() ?? (isInUse(fd) ? undefined : tryZerocopy(fd)),
};

function isInUse(fd: number): boolean {
  return getInt(fd, level.socket, option.zerocopy) === 1;
}

/** io_uring can send a user's pages to the same kinds of socket. Leaves it as it was. */
function tryZerocopy(fd: number): string | undefined {
  const errno = -setInt(fd, level.socket, option.zerocopy, 1);
  if (errno !== 0) return `it has no MSG_ZEROCOPY (${errnoName(errno)})`;
  setInt(fd, level.socket, option.zerocopy, 0);
  return undefined;
}

function tryIoUring(): string | undefined {
  const found = library().zc_probe_sendmsg_zc();
  if (found === -constants.errno.ENOMEM) return zerocopyMemoryHint(); // a ring is locked too
  if (found < 0) return `this machine lets nobody use io_uring (${errnoName(-found)})`;
  if (found === 0) return "io_uring has no SENDMSG_ZC before Linux 6.1";
  return undefined;
}
