/** A small machine that dirties memory, at either end of a migration. */
import { writeFileSync } from "node:fs";
import { type Machine, setCapabilities, startMachine } from "../peers/machine.ts";
import type { Scratch } from "../support/scratch.ts";
import { biosImage } from "./bios.ts";
import type { Kind } from "./kinds.ts";
import { memorySize } from "./memory.ts";
import type { Qemu } from "./qemus.ts";

/** Starts one for streams of this kind. The file `memory` is its memory, made where there is none. */
export async function startGuest(
  folder: Scratch,
  name: string,
  qemu: Qemu,
  kind: Kind,
  memory: string,
  ...more: readonly string[]
): Promise<Machine> {
  const { machine = "pc", block = "pc.ram", args = [] } = kind.hardware?.(qemu) ?? {};
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
  const guest = await startMachine(folder, name, all, qemu);
  await setCapabilities(guest.qmp, kind.capabilities ?? []);
  await guest.qmp.execute("migrate-set-parameters", kind.parameters ?? {});
  return guest;
}
