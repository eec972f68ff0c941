/** Migration streams, each made by a real QEMU when a test first wants it. */
import { afterAll } from "vitest";
import { type Scratch, scratch } from "../support/scratch.ts";
import { type KindName, kinds } from "./kinds.ts";
import type { Qemu } from "./qemus.ts";
import { type Stream, save } from "./save.ts";

/** For one test file: makes each stream once; they are gone after the last test. */
export function streamsOfTests(): (qemu: Qemu, name: KindName) => Promise<Stream> {
  const folders: Scratch[] = [];
  afterAll(() => {
    for (const folder of folders) folder[Symbol.dispose]();
  });
  const made = new Map<string, Promise<Stream>>();
  return (qemu, name) => {
    const key = `${qemu.version} ${name}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const folder = scratch();
    folders.push(folder);
    const stream = save(folder, qemu, kinds[name]);
    made.set(key, stream);
    return stream;
  };
}
