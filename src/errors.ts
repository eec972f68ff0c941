/**
 * The one kind of error that zc throws, and everything that is printed of it.
 * C answers with -errno; `systemError` gives such a number its name, meaning and hint.
 */
import { constants } from "node:os";

/** Stable names, for scripts; the number is the exit code that goes with it. */
export const exitCodes = {
  CONNECT: 1,
  READ_SOURCE: 1,
  WRITE_SINK: 1,
  PEER_RESET: 1,
  TIMEOUT: 1,
  DEVICE: 1,
  AUTH: 1,
  USAGE: 2,
  UNSUPPORTED: 3,
  TRUNCATED: 4,
  CHECKSUM: 4,
  PROTOCOL: 4,
} as const;

export type ErrorCode = keyof typeof exitCodes;

export interface ErrorDetails {
  readonly code: ErrorCode;
  /** What was being done: "connect", "read", "listen". */
  readonly operation?: string | undefined;
  /** What it was done to: an address, a file, an option. */
  readonly subject?: string | undefined;
  /** A positive errno, where the kernel said no. */
  readonly errno?: number | undefined;
  /** What went wrong, where no errno says it. */
  readonly reason?: string | undefined;
  /** What the reader can do about it. */
  readonly hint?: string | undefined;
}

/** Its schema is errors.schema.ts. */
export interface ErrorJson {
  readonly code: ErrorCode;
  readonly message: string;
  readonly errno?: number | undefined;
  readonly errnoName?: string | undefined;
  readonly hint?: string | undefined;
}

export class ZcError extends Error {
  readonly code: ErrorCode;
  readonly operation: string | undefined;
  readonly subject: string | undefined;
  readonly errno: number | undefined;
  readonly reason: string | undefined;
  readonly hint: string | undefined;

  constructor(details: ErrorDetails) {
    super(describe(details));
    this.name = "ZcError";
    this.code = details.code;
    this.operation = details.operation;
    this.subject = details.subject;
    this.errno = details.errno;
    this.reason = details.reason;
    this.hint = details.hint;
  }

  /** The error that `toJSON` made this of, elsewhere. */
  static fromJSON({ code, message, hint }: ErrorJson): ZcError {
    return new ZcError({ code, reason: message, hint });
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }

  /** The errno's name, "ECONNREFUSED". */
  get errnoName(): string | undefined {
    return this.errno === undefined ? undefined : errnoName(this.errno);
  }

  /** What scripts read, in the JSON's `error`. */
  toJSON(): ErrorJson {
    const { code, message, errno, errnoName: name, hint } = this;
    return {
      code,
      message,
      ...(errno !== undefined && { errno, errnoName: name }),
      ...(hint && { hint }),
    };
  }

  /** The line a person reads. */
  toLine(): string {
    const hint = this.hint ? `; ${printable(this.hint)}` : "";
    return `zc: [${this.code}] ${this.message}${hint}`;
  }
}

/** An error in what the user typed (exit 2). */
export function usageError(subject: string, reason: string, hint?: string): ZcError {
  return new ZcError({ code: "USAGE", subject, reason, ...(hint && { hint }) });
}

/** "ECONNREFUSED" for 111; a number that has no name stays a number. */
export function errnoName(errno: number): string {
  return namesByErrno.get(errno) ?? `errno ${errno}`;
}

/** Text from a peer or a file name, safe to show on a terminal. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
  );
}

function describe({ operation, subject, errno, reason }: ErrorDetails): string {
  const what = [operation, subject && printable(subject)].filter(Boolean).join(" ");
  const errnoText = errno === undefined ? undefined : errnoMeaning(errno);
  const why = [reason && printable(reason), errnoText]
    .filter((part) => part !== undefined)
    .join(": ");
  return [what, why].filter((part) => part !== "").join(": ");
}

function errnoMeaning(errno: number): string {
  const name = errnoName(errno);
  const meaning = meanings[name];
  return meaning === undefined ? name : `${name} (${meaning})`;
}

const namesByErrno = new Map<number, string>(
  Object.entries(constants.errno)
    // Two names for one number: the one that the manual pages of send(2) and read(2) use.
    .filter(([name]) => name !== "EWOULDBLOCK" && name !== "ENOTSUP")
    .map(([name, number]) => [number, name]),
);

/** In the words of errno(3); only what a transfer can meet. */
const meanings: Record<string, string | undefined> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EAFNOSUPPORT: "address family not supported",
  EBADF: "bad file descriptor",
  ECONNABORTED: "connection aborted",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EDQUOT: "disk quota exceeded",
  EEXIST: "file exists",
  EFAULT: "bad address",
  EFBIG: "file too large",
  EHOSTUNREACH: "no route to host",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  EISDIR: "is a directory",
  EMFILE: "too many open files",
  ENETUNREACH: "network is unreachable",
  ENOBUFS: "no buffer space available",
  ENODEV: "no such device",
  ENOENT: "no such file or directory",
  ENOMEM: "cannot allocate memory",
  ENOSPC: "no space left on device",
  ENOSYS: "this kernel has no such system call",
  ENOTCONN: "not connected",
  ENOTDIR: "not a directory",
  ENOTSOCK: "not a socket",
  EOPNOTSUPP: "operation not supported",
  EPERM: "operation not permitted",
  EPIPE: "the other side no longer reads",
  EPROTONOSUPPORT: "protocol not supported",
  EROFS: "read-only file system",
  ESRCH: "no such process",
  ESOCKTNOSUPPORT: "socket type not supported",
  ETIMEDOUT: "timed out",
  EXDEV: "on another file system",
};

/** The positive errno of an error that node:fs threw. */
export function errnoOf(error: unknown): number {
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
    return Math.abs(error.errno);
  }
  throw error;
}
