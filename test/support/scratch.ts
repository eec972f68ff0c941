/** A folder for one test, gone when it is disposed of. */
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface Scratch extends Disposable {
  readonly path: string;
  readonly file: (name: string) => string;
  /** Makes a file of `size` random bytes; returns its path. */
  readonly random: (name: string, size: number) => string;
}

/** In memory: no test waits for a disk. */
export function scratch(): Scratch {
  const path = mkdtempSync("/dev/shm/zc-test-");
  const file = (name: string) => join(path, name);
  return {
    path,
    file,
    random: (name, size) => {
      writeRandom(file(name), size);
      return file(name);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

const portion = 1 << 20;

function writeRandom(path: string, size: number): void {
  const fd = openSync(path, "w");
  const bytes = new Uint8Array(portion);
  for (let left = size; left > 0; left -= portion) {
    for (let at = 0; at < portion; at += 65536)
      crypto.getRandomValues(bytes.subarray(at, at + 65536));
    writeSync(fd, bytes, 0, Math.min(left, portion));
  }
  closeSync(fd);
}

/** SHA-256 of a file, as hexadecimal text. */
export function hashOf(path: string): string {
  const hash = createHash("sha256");
  const fd = openSync(path, "r");
  const bytes = new Uint8Array(portion);
  for (let got = readSync(fd, bytes); got > 0; got = readSync(fd, bytes))
    hash.update(bytes.subarray(0, got));
  closeSync(fd);
  return hash.digest("hex");
}
