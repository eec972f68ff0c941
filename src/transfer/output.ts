/**
 * Where received bytes go. A regular file is written beside its final name and renamed when it is
 * whole, so that nobody ever finds half of it there; anything else is written to directly.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fdatasyncSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { constants as osConstants } from "node:os";
import { basename, dirname, join } from "node:path";
import { type Descriptor, describe } from "../descriptor.ts";
import { ZcError } from "../errors.ts";
import { openFile, writing } from "../files.ts";

export interface OutputOptions {
  /** Refuse a name that exists. */
  readonly noClobber?: boolean | undefined;
  /** The file, and its folder's entry, are on the disk before success is reported. */
  readonly fsync?: boolean | undefined;
}

/** Disposing leaves nothing behind of what was not committed. */
export interface Output extends Disposable {
  readonly name: string;
  readonly descriptor: Descriptor;
  /** All arrived: gives the file its name. Throws WRITE_SINK. */
  commit(): void;
}

/** FILE, or standard output for undefined and "-". Throws WRITE_SINK, and the signal's reason. */
export async function openOutput(
  file: string | undefined,
  options: OutputOptions = {},
  signal?: AbortSignal,
): Promise<Output> {
  if (file === undefined || file === "-") return directOutput("standard output", 1, () => {});
  const regular = openRegular(file, options);
  if (regular !== undefined) return regular;
  const fd = await openFile(file, constants.O_WRONLY, { code: "WRITE_SINK", signal });
  return directOutput(file, fd, () => closeSync(fd));
}

/** FILE where it is one, or nothing yet. Throws WRITE_SINK. */
export function openRegular(file: string, options: OutputOptions = {}): Output | undefined {
  return writing(
    file,
    () => {
      const existing = statSync(file, { throwIfNoEntry: false });
      if (existing !== undefined && options.noClobber) throw exists(file);
      if (existing !== undefined && !existing.isFile()) return undefined;
      return fileOutput(file, existing?.mode, options);
    },
    "open",
  );
}

function directOutput(name: string, fd: number, close: () => void): Output {
  let open = true;
  const end = () => {
    if (open) close();
    open = false;
  };
  return { name, descriptor: describe(fd), commit: end, [Symbol.dispose]: end };
}

function fileOutput(file: string, mode: number | undefined, options: OutputOptions): Output {
  // A symbolic link stays one: what it points to is replaced.
  const target = mode === undefined ? file : realpathSync(file);
  const part = partName(target);
  // Readable too: a RAM image is changed where it is.
  const fd = openSync(part, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o666);
  if (mode !== undefined) fchmodSync(fd, mode & 0o7777);
  let open = true;
  const close = () => {
    if (open) closeSync(fd);
    open = false;
  };
  const discard = () => {
    close();
    rmSync(part, { force: true });
  };
  return {
    name: file,
    descriptor: describe(fd),
    [Symbol.dispose]: discard,
    commit: () =>
      writing(file, () => {
        if (options.fsync) fdatasyncSync(fd);
        close();
        publish(part, target, options);
      }),
  };
}

/** Beside the target; its name tells whose it is, should a crash leave it behind. */
export function partName(target: string): string {
  const random = crypto.randomUUID().slice(0, 8);
  const stem = basename(target).slice(0, 200);
  return join(dirname(target), `.${stem}.zc-part-${process.pid}-${random}`);
}

function publish(part: string, target: string, { noClobber, fsync }: OutputOptions): void {
  if (noClobber) {
    if (existsSync(target)) throw exists(target);
    linkSync(part, target); // unlike rename(2), link(2) never replaces
    rmSync(part);
  } else {
    renameSync(part, target);
  }
  if (fsync) syncFolder(dirname(target));
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function exists(file: string): ZcError {
  return new ZcError({
    code: "WRITE_SINK",
    operation: "write",
    subject: file,
    errno: osConstants.errno.EEXIST,
    hint: "--no-clobber keeps it",
  });
}
