/**
 * How bytes are best moved between two ends: which modes, in which order, with what sizes. Pure:
 * what is known of the ends comes in, a plan comes out. The figures behind it are measured, in
 * docs/measurements.md.
 */
import type { MoverName } from "../../ffi/structs.ts";
import type { DescriptorKind } from "../descriptor.ts";
import { pageSize } from "../units.ts";

export const sendModes = ["copy", "sendfile", "splice", "msg-zerocopy", "io-uring"] as const;
export const receiveModes = [
  ...(["copy", "splice", "tcp-zerocopy", "io-uring", "zcrx", "discard"] as const),
] as const;
export const modes = [...new Set([...sendModes, ...receiveModes])];
export type SendMode = (typeof sendModes)[number];
export type ReceiveMode = (typeof receiveModes)[number];
export type Mode = SendMode | ReceiveMode;

const sendMovers: Record<SendMode, MoverName> = {
  copy: "copy",
  sendfile: "sendfile",
  splice: "splice",
  "msg-zerocopy": "msgZerocopy",
  "io-uring": "ioUringSend",
};
const receiveMovers: Record<ReceiveMode, MoverName> = {
  copy: "copy",
  splice: "splice",
  "tcp-zerocopy": "tcpZerocopy",
  "io-uring": "ioUringReceive",
  zcrx: "zcrx",
  discard: "discard",
};
const movers: Record<Ends["direction"], Partial<Record<Mode, MoverName>>> = {
  send: sendMovers,
  receive: receiveMovers,
};

export type SocketFamily = "tcp" | "unix" | "vsock";

export interface Ends {
  readonly direction: "send" | "receive";
  readonly family: SocketFamily;
  /** The end that is no socket: what is sent, or where it is received to. */
  readonly local: DescriptorKind;
  /** The local end was opened with O_APPEND. */
  readonly append?: boolean;
  /** Every byte must be looked at: for a checksum, or for zeros. */
  readonly inspect?: boolean;
  /** Of a longer vsock send this kernel says too early that it has let go of it; bytes. */
  readonly vsockSendMax?: number | undefined;
}

export interface Step {
  readonly mode: Mode;
  readonly mover: MoverName;
  readonly why: string;
  /** Zero-copy was asked for by name: never copy instead. */
  readonly required: boolean;
  /** Bytes a call, and what it must not exceed whatever is asked for. */
  readonly chunk: number;
  readonly chunkMax: number;
  /** The chunk is where to start, not where to stay. */
  readonly adapt: boolean;
  readonly pipeSize: number;
}

/** TCP segments whose payload is a page: their timestamps (RFC 7323) take 12 bytes of each. */
export const pageMss = pageSize + 12;

const KiB = 1024;
const MiB = 1024 * KiB;

/** The kernel is asked, send by send, to take the pages themselves, and may copy them all the same. */
const zerocopyModes: ReadonlySet<Mode> = new Set<Mode>(["msg-zerocopy", "io-uring"]);

/** What arrives may reach us without a copy, and it is counted how much did. */
export const uncopiedReceiveModes: ReadonlySet<Mode> = new Set<Mode>(["tcp-zerocopy", "zcrx"]);

/** The steps to try in order: the next when the kernel refuses one before its first byte. */
export function plan(ends: Ends, asked: Mode | "auto"): readonly Step[] {
  if (asked !== "auto") return [askedStep(ends, asked)];
  return automatic(ends).map(([mode, why]) => step(ends, mode, why));
}

/** The only step of a mode that is asked for by name. */
export function askedStep(ends: Ends, mode: Mode): Step {
  return step(ends, mode, "asked for");
}

function automatic(ends: Ends): readonly (readonly [Mode, string])[] {
  const { direction, local, append, inspect } = ends;
  if (direction === "send") return automaticSend(ends);
  if (append || local === "tty") return [copy("splice cannot write there")];
  if (inspect) return [copy("every byte is looked at")];
  if (local === "pipe")
    return [["splice", "pages go on into the pipe"], copy("splice was refused")];
  if (local === "null" && ends.family === "tcp")
    return [["discard", "nobody wants the bytes"], copy("MSG_TRUNC was refused")];
  if (local === "null" && ends.family === "unix") {
    return [["splice", "pages are dropped unread"], copy("splice was refused")];
  }
  return [copy(local === "file" ? "splice into a file is no faster" : "nothing is faster")];
}

function automaticSend({ family, local, inspect }: Ends): readonly (readonly [Mode, string])[] {
  const zerocopy = ["msg-zerocopy", "vsock can send a user's pages"] as const;
  if (local === "file" || local === "block") {
    const sendfile = ["sendfile", "the page cache is sent by reference"] as const;
    if (family === "vsock") return [zerocopy, copy("the kernel copies anyway")];
    return [sendfile, copy("sendfile was refused")];
  }
  if (family === "vsock") return [zerocopy, copy("the kernel copies anyway")];
  if (local === "pipe" && !inspect) {
    return [["splice", "pages go on from the pipe"], copy("splice was refused")];
  }
  return [copy(inspect ? "every byte is looked at" : "nothing is faster")];
}

function copy(why: string): readonly [Mode, string] {
  return ["copy", why];
}

function step(ends: Ends, mode: Mode, why: string): Step {
  const mover = movers[ends.direction][mode];
  if (mover === undefined) throw new Error(`no mover to ${ends.direction} by ${mode}`);
  const asksForZerocopy = zerocopyModes.has(mode);
  const zerocopyToVsock = ends.family === "vsock" && asksForZerocopy;
  return {
    mode,
    mover,
    why,
    required: why === "asked for" && asksForZerocopy,
    chunk: chunk(ends, mode),
    chunkMax: (zerocopyToVsock && ends.vsockSendMax) || Number.MAX_SAFE_INTEGER,
    adapt: zerocopyToVsock,
    pipeSize: ends.family === "unix" ? 256 * KiB : MiB,
  };
}

/**
 * A receiving splice takes a quarter of the pipe at a time: while it fills the pipe it holds the
 * lock that the pipe's reader spins on.
 */
function chunk({ direction, family }: Ends, mode: Mode): number {
  if (direction === "receive" && mode === "splice") return 256 * KiB;
  if (direction === "receive" && mode === "io-uring") return 128 * KiB;
  return zerocopyModes.has(mode) && family === "vsock" ? 256 * KiB : MiB;
}
