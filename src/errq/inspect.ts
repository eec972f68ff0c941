/** Another process's socket, seen through a copy of its descriptor that is held for moments only. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { NoticeReader, type RawNotice, startWatch } from "../../ffi/notices.ts";
import { describe } from "../descriptor.ts";
import {
  closeSocket,
  getBytes,
  getInt,
  level,
  option,
  socketNameText,
} from "../endpoint/socket.ts";
import { ZcError } from "../errors.ts";
import { optionMemorySetting, readSetting } from "../limits.ts";
import { pause, started } from "../run-job.ts";
import { type Notice, toNotice } from "./notice.ts";

/** A descriptor of another process. */
export interface ForeignSocket {
  readonly pid: number;
  readonly fd: number;
}

/** The JSON of `zc errq --pid P --fd N`; its schema is notice.schema.ts. */
export interface SocketState extends ForeignSocket {
  /** The kernel's number for this socket, never used again (SO_COOKIE); as `ss -e` shows it. */
  readonly cookie: string;
  readonly local: string;
  readonly peer: string;
  /** SO_ZEROCOPY. */
  readonly zerocopy: boolean;
  /** Sent and not acknowledged (SIOCOUTQ); absent where the kernel cannot tell. */
  readonly unsentBytes?: number;
  /**
   * Of sends in flight and of notifications that nobody has read (SO_MEMINFO); bytes. Some 900 for
   * each, and a joined range counts once.
   */
  readonly optionMemory: number;
  /** net.core.optmem_max, of our network namespace; bytes. */
  readonly optionMemoryMax?: number;
  /** Queued for sending, with the kernel's own needs; bytes. */
  readonly sendMemory: number;
  readonly sendMemoryMax: number;
  /** RLIMIT_MEMLOCK of that process; bytes, absent where there is no limit. */
  readonly lockedMemoryMax?: number;
}

export interface FollowOptions {
  /** Go on until the process has closed the socket, or the signal aborts. */
  readonly follow?: boolean | undefined;
  /** Of the state: that socket or none, whatever has its descriptor's place by now. */
  readonly cookie?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How often a socket is looked at that is followed. */
const drainPauseMs = 20;
const watchPauseMs = 200;
const { EPERM, EACCES, EBADF, ENOSYS } = constants.errno;

/**
 * Yields its state; with `follow` again whenever that has changed. Throws READ_SOURCE (no such
 * process or descriptor), UNSUPPORTED (not allowed), USAGE (no socket).
 */
export async function* watchSocket(
  socket: ForeignSocket,
  options: FollowOptions = {},
): AsyncGenerator<SocketState, void> {
  let last = "";
  for await (const state of looks(socket, options, watchPauseMs, (fd) => stateOf(socket, fd))) {
    const text = JSON.stringify(state);
    if (text !== last) yield state;
    last = text;
  }
}

/** Takes what is on its error queue: its owner will not see it. Throws as watchSocket. */
export async function* drainSocket(
  socket: ForeignSocket,
  options: FollowOptions = {},
): AsyncGenerator<Notice, void> {
  const since = Math.floor(Date.now() / 1000);
  for await (const taken of looks(socket, options, drainPauseMs, takeAll))
    for (const raw of taken) yield toNotice(raw, since);
}

/**
 * What `look` makes of a copy of the descriptor, once or again and again. The copy is closed between
 * two looks, so that the owner's close is not held up.
 */
async function* looks<T>(
  socket: ForeignSocket,
  { follow = false, cookie, signal }: FollowOptions,
  pauseMs: number,
  look: (fd: number) => T | Promise<T>,
): AsyncGenerator<T, void> {
  let fd = cookie === undefined ? borrow(socket) : tryBorrow(socket);
  const wanted = cookie ?? cookieOf(fd);
  while (fd >= 0 && isSame(fd, wanted)) {
    let seen: T;
    try {
      seen = await look(fd);
    } finally {
      closeSocket(fd);
    }
    yield seen;
    if (!follow) return;
    await pause(pauseMs, signal);
    fd = tryBorrow(socket);
  }
}

async function takeAll(fd: number): Promise<RawNotice[]> {
  const reader = new NoticeReader();
  const watch = started(startWatch(fd, false, reader), "watch the error queue");
  const taken = await Array.fromAsync(reader);
  const { error } = await watch.ended;
  if (error === 0) return taken;
  throw new ZcError({ code: "READ_SOURCE", operation: "read an error queue", errno: error });
}

function stateOf(socket: ForeignSocket, fd: number): SocketState {
  if (describe(fd).kind !== "socket") throw notASocket(socket);
  const memory = memoryOf(fd);
  const unsent = library().zc_socket_unsent(fd);
  const optionMemoryMax = readSetting(optionMemorySetting);
  const lockedMemoryMax = lockedMemoryMaxOf(socket.pid);
  return {
    ...socket,
    cookie: cookieOf(fd),
    local: socketNameText(fd, "own"),
    peer: socketNameText(fd, "peer"),
    zerocopy: getInt(fd, level.socket, option.zerocopy) === 1,
    ...(unsent >= 0 && { unsentBytes: unsent }),
    optionMemory: memory.option,
    ...(optionMemoryMax !== undefined && { optionMemoryMax: Number(optionMemoryMax) }),
    sendMemory: memory.queued,
    sendMemoryMax: memory.sendMax,
    ...(lockedMemoryMax !== undefined && { lockedMemoryMax }),
  };
}

/** linux/sock_diag.h: SK_MEMINFO_SNDBUF, _WMEM_QUEUED, _OPTMEM. */
function memoryOf(fd: number) {
  const words = new Uint32Array(9);
  getBytes(fd, level.socket, option.memoryInfo, new Uint8Array(words.buffer));
  return { sendMax: words[3] ?? 0, queued: words[5] ?? 0, option: words[6] ?? 0 };
}

function cookieOf(fd: number): string {
  const cookie = new BigUint64Array(1);
  getBytes(fd, level.socket, option.cookie, new Uint8Array(cookie.buffer));
  return (cookie[0] ?? 0n).toString(16);
}

/** Otherwise another socket has taken the descriptor's place: it is let go. */
function isSame(fd: number, cookie: string): boolean {
  if (cookieOf(fd) === cookie) return true;
  closeSocket(fd);
  return false;
}

function lockedMemoryMaxOf(pid: number): number | undefined {
  try {
    const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
    const limit = /^Max locked memory\s+(\d+)/m.exec(limits)?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

function borrow(socket: ForeignSocket): number {
  const fd = tryBorrow(socket);
  if (fd >= 0) return fd;
  throw borrowError(socket, -fd);
}

function tryBorrow({ pid, fd }: ForeignSocket): number {
  return library().zc_fd_of_process(pid, fd);
}

function borrowError({ pid, fd }: ForeignSocket, errno: number): ZcError {
  const isRefused = errno === EPERM || errno === EACCES || errno === ENOSYS;
  return new ZcError({
    code: isRefused ? "UNSUPPORTED" : "READ_SOURCE",
    operation: "look at",
    subject: `descriptor ${fd} of process ${pid}`,
    errno,
    hint: hints[errno] ?? "",
  });
}

const hints: Record<number, string | undefined> = {
  [EPERM]:
    "that needs the right to trace it: root, or the same user where kernel.yama.ptrace_scope allows it",
  [EBADF]: `it has no such descriptor: ls -l /proc/PID/fd lists them`,
  [ENOSYS]: "pidfd_getfd came with Linux 5.6",
};

function notASocket({ pid, fd }: ForeignSocket): ZcError {
  const subject = `descriptor ${fd} of process ${pid}`;
  return new ZcError({ code: "USAGE", operation: "look at", subject, reason: "it is no socket" });
}
