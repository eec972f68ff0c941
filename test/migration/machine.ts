/** A small machine that dirties memory, at either end of a migration. */
import { writeFileSync } from "node:fs";
import { type Machine, startMachine } from "../peers/machine.ts";
import type { Scratch } from "../support/scratch.ts";
import { biosImage } from "./bios.ts";
import { memorySize } from "./memory.ts";
import type { Qemu } from "./qemus.ts";

/** What has to be the same at both ends. */
export interface Hardware {
  /** For -machine: "pc" by default. */
  readonly machine?: string;
  /** What the block of its memory is named: by default as QEMU does without a backend. */
  readonly block?: string;
  readonly args?: readonly string[];
}

/** Starts one with the file `memory` as its memory, made where there is none. */
export function startGuest(
  folder: Scratch,
  name: string,
  qemu: Qemu,
  memory: string,
  { machine = "pc", block = "pc.ram", args = [] }: Hardware,
  ...more: readonly string[]
): Promise<Machine> {
  const bios = folder.file(`${name}.bios`);
  writeFileSync(bios, biosImage());
  const backend = [
    ...["memory-backend-file", `id=${block}`, `size=${memorySize}`, `mem-path=${memory}`],
    // Machines before 4.1 would name the block "/objects/pc.ram".
    ...["share=on", "x-use-canonical-path-for-ramblock-id=off"],
  ].join(",");
  const all = [
    ...["-machine", `${machine},memory-backend=${block}`, "-object", backend],
    ...["-accel", "tcg", "-m", `${memorySize >> 20}`, "-nodefaults", "-display", "none"],
    ...["-bios", bios, ...args, ...more],
  ];
  return startMachine(folder, name, all, qemu);
}
