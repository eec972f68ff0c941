/** A guest's memory as a file, the same that QEMU uses for it: what it has at any time can be read. */
import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { own } from "../peers/own.ts";
import { dirtied } from "./bios.ts";

export const memorySize = 64 << 20;

const pageSize = 4096;

/** Pages that no compressor makes smaller, and pages that are all the same; the rest is zeros. */
export function makeMemory(path: string): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, memorySize);
  writeAt(fd, 16 << 20, randomBytes(2 << 20));
  writeAt(fd, 32 << 20, Buffer.alloc(1 << 20, randomBytes(pageSize)));
  closeSync(fd);
}

function writeAt(fd: number, position: number, bytes: Uint8Array): void {
  writeSync(fd, bytes, 0, bytes.length, position);
}

/** Gives the pages of zeros back: QEMU has looked at all, and each takes memory since. */
export async function digHoles(path: string): Promise<void> {
  const { code, stderr } = await own("fallocate", ["--dig-holes", path]).result;
  if (code !== 0) throw new Error(stderr);
}

/** Resolves once the guest has gone on writing. */
export async function untilWritten(path: string): Promise<void> {
  const before = dirtiedBytes(path);
  while (dirtiedBytes(path).equals(before)) await pause(10);
}

function dirtiedBytes(path: string): Buffer {
  const bytes = Buffer.alloc(dirtied.end - dirtied.start);
  const fd = openSync(path, "r");
  readSync(fd, bytes, 0, bytes.length, dirtied.start);
  closeSync(fd);
  return bytes;
}
