/** A virtual machine of QEMU's that can be talked to. */
import type { Scratch } from "../support/scratch.ts";
import type { Running } from "../support/zc.ts";
import { untilListening } from "./listening.ts";
import { own } from "./own.ts";
import { connectQmp, type Qmp } from "./qmp.ts";

export const qemu = "qemu-system-x86_64";

/** How a QEMU is run. */
export interface Program {
  readonly command: readonly [string, ...string[]];
  readonly env?: Record<string, string>;
}

export interface Machine {
  readonly process: Running;
  readonly qmp: Qmp;
}

export async function startMachine(
  folder: Scratch,
  name: string,
  args: readonly string[],
  { command: [command, ...first], env = {} }: Program = { command: [qemu] },
): Promise<Machine> {
  const control = folder.file(`${name}.qmp`);
  const qmpArgs = ["-qmp", `unix:${control},server=on,wait=off`];
  const process = own(command, [...first, ...args, ...qmpArgs], { env });
  await untilListening(process, `unix:${control}`);
  const qmp = await connectQmp(control);
  await setCapabilities(qmp, ["events"]); // without it there are no MIGRATION events
  return { process, qmp };
}

export async function setCapabilities(qmp: Qmp, names: readonly string[]): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: names.map((capability) => ({ capability, state: true })),
  });
}

/** Resolves with the status in which the migration ended: "completed" or "failed". */
export async function migrationEnd({ qmp }: Machine): Promise<unknown> {
  const ended = await qmp.event(
    ({ event, data }) =>
      event === "MIGRATION" && (data?.["status"] === "completed" || data?.["status"] === "failed"),
  );
  return ended.data?.["status"];
}
