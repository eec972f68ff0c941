/** What a descriptor is, as far as it decides how bytes are best moved. */
import { constants } from "node:fs";
import { library } from "../ffi/library.ts";
import { fdStruct } from "../ffi/structs.ts";
import { ZcError } from "./errors.ts";

export type DescriptorKind =
  | "file"
  | "pipe"
  | "tty"
  | "null"
  | "device"
  | "block"
  | "folder"
  | "socket";

export interface Descriptor {
  readonly fd: number;
  readonly kind: DescriptorKind;
  /** Bytes; of a regular file. */
  readonly size: number;
  /** Where the next read or write happens; -1 where there is no such thing. */
  readonly position: number;
  /** Opened with O_APPEND: splice(2) and sendfile(2) refuse to write to it. */
  readonly append: boolean;
  readonly nonblocking: boolean;
  readonly domain: number;
  readonly type: number;
}

/** Throws USAGE for a number that is no open descriptor. */
export function describe(fd: number): Descriptor {
  const bytes = fdStruct.allocate();
  const result = library().zc_fd_describe(fd, bytes);
  if (result < 0) {
    throw new ZcError({
      code: "USAGE",
      operation: "use",
      subject: `fd:${fd}`,
      errno: -result,
    });
  }
  const facts = fdStruct.unpack(bytes);
  return {
    fd,
    kind: kindOf(facts),
    size: facts.size,
    position: facts.position,
    append: (facts.flags & O_APPEND) !== 0,
    nonblocking: (facts.flags & O_NONBLOCK) !== 0,
    domain: facts.domain,
    type: facts.type,
  };
}

const { O_NONBLOCK, O_APPEND, S_IFMT } = constants;
const kindsByMode = new Map<number, DescriptorKind>([
  [constants.S_IFSOCK, "socket"],
  [constants.S_IFREG, "file"],
  [constants.S_IFBLK, "block"],
  [constants.S_IFDIR, "folder"],
  [constants.S_IFIFO, "pipe"],
]);
/** Major and minor of /dev/null and of terminals: Documentation/admin-guide/devices.txt. */
const nullDevice = makeDevice(1, 3);
const ttyMajors = new Set([4, 5, ...range(136, 143)]);

function kindOf({ mode, device }: { mode: number; device: number }): DescriptorKind {
  const kind = kindsByMode.get(mode & S_IFMT);
  if (kind !== undefined) return kind;
  if (device === nullDevice) return "null";
  return ttyMajors.has((device >> 8) & 0xfff) ? "tty" : "device";
}

function makeDevice(major: number, minor: number): number {
  return (major << 8) | minor;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
