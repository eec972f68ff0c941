/** The kernels that the lab has, fetched by test/lab/fetch. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export type KernelKind = "newest" | "old" | "lts";

export interface Kernel {
  readonly image: string;
  readonly initramfs: string;
  /** The unpacked package. */
  readonly folder: string;
}

const here = import.meta.dirname;

/** What can be had, or why not. Fetches what is missing: minutes, the first time. */
export function findKernel(kind: KernelKind): Kernel | string {
  const lacking = ["qemu-system-x86_64", "busybox", "cpio", "depmod", "xz", "apt-get"].find(
    (tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0,
  );
  if (lacking !== undefined) return `${lacking} is not installed`;
  const folder = (kind === "lts" ? fetch("lts") : fetched()).get(kind);
  if (folder === undefined) return `no ${kind} kernel could be fetched`;
  return { image: imageIn(folder), initramfs: initramfsFor(folder), folder };
}

/** A folder with mtty, a device that can be migrated, and the modules under it; or why not. */
export function findMtty({ folder }: Kernel): { readonly folder: string } | string {
  const { status, stdout } = spawnSync(join(here, "fetch-mtty"), [folder], { encoding: "utf8" });
  return status === 0 ? { folder: stdout.trim() } : "mtty could not be built";
}

/** The program that makes a vsock device for a guest, or why there is none. */
export function findVhostDeviceVsock(): string | undefined {
  const folder = fetched().get("vhost-device-vsock");
  return folder && join(folder, "usr/bin/vhost-device-vsock");
}

function fetched(): ReadonlyMap<string, string> {
  known ??= fetch();
  return known;
}

function fetch(...which: readonly string[]): ReadonlyMap<string, string> {
  return parseFetched(spawnSync(join(here, "fetch"), which, { encoding: "utf8" }).stdout);
}

let known: ReadonlyMap<string, string> | undefined;

/** Lines "KIND VERSION FOLDER". */
function parseFetched(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").map((line) => line.split(" "));
  return new Map(lines.flatMap(([kind, , folder]) => (kind && folder ? [[kind, folder]] : [])));
}

/** Debian has it in boot/, or beside the modules. */
function imageIn(folder: string): string {
  for (const place of ["boot", "lib/modules", "usr/lib/modules"]) {
    const path = join(folder, place);
    if (!existsSync(path)) continue;
    const names = readdirSync(path, { recursive: true, encoding: "utf8" });
    const image = names.find((name) => /(^|\/)vmlinuz[^/]*$/.test(name));
    if (image !== undefined) return join(path, image);
  }
  throw new Error(`no kernel image in ${folder}`);
}

/** Beside the kernel; made again when its recipe is newer. */
function initramfsFor(folder: string): string {
  const path = join(folder, "initramfs");
  const recipes = ["init", "initramfs"].map((name) => statSync(join(here, name)).mtimeMs);
  if (!existsSync(path) || statSync(path).mtimeMs < Math.max(...recipes)) {
    const { status, stderr } = spawnSync(join(here, "initramfs"), [folder, path], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`test/lab/initramfs: ${stderr}`);
  }
  return path;
}
