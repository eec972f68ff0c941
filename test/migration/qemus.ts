/** The QEMUs that make and load streams: this machine's, and those of other Debian suites. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe } from "vitest";
import { isAbsent } from "../peers/installed.ts";
import { type Program, qemu } from "../peers/machine.ts";
import { describeWithNewer, type NewerPeers } from "../peers/newer.ts";
import { isNightly } from "../support/nightly.ts";

export interface Qemu extends Program {
  /** "7.2"; nothing when it cannot be had. */
  readonly version: string;
}

/** Tests with this machine's. */
export function describeWithQemu(name: string, tests: (qemu: Qemu) => void): void {
  const here = qemuOf({ command: [qemu] });
  describe.skipIf(isAbsent(qemu))(`${name}, QEMU ${here.version}`, () => tests(here));
}

/** Tests with each of them, by day with the oldest and the newest: see describeWithNewer. */
export function describeWithQemus(name: string, tests: (qemu: Qemu) => void): void {
  describeWithQemu(name, tests);
  if (isNightly) describeWithQemuOf("trixie", name, tests);
  describeWithNewestQemu(name, tests);
}

export function describeWithNewestQemu(name: string, tests: (qemu: Qemu) => void): void {
  describeWithQemuOf("sid", name, tests);
}

function describeWithQemuOf(suite: string, name: string, tests: (qemu: Qemu) => void): void {
  describeWithNewer(suite, ["qemu-system-x86"], name, (peers) => tests(newerQemu(peers)));
}

function newerQemu({ command, root }: NewerPeers): Qemu {
  const [loader, ...args] = command(qemu);
  const shared = join(root, "usr/share");
  return qemuOf({
    command: [
      loader,
      ...args,
      ...["qemu", "seabios"].flatMap((name) => ["-L", join(shared, name)]),
    ],
    env: { QEMU_MODULE_DIR: join(root, "usr/lib/x86_64-linux-gnu/qemu") },
  });
}

function qemuOf(program: Program): Qemu {
  const said = run(program, ["--version"]);
  return { ...program, version: /version (\d+\.\d+)/.exec(said)?.[1] ?? "" };
}

/** The oldest version of PC that it can be. */
export function oldestPc(program: Program): string {
  const versions = [...run(program, ["-machine", "help"]).matchAll(/^pc-i440fx-(\d+)\.(\d+) /gm)];
  const [oldest] = versions
    .map(([, major, minor]) => [Number(major), Number(minor)] as const)
    .sort(([major, minor], [other, otherMinor]) => major - other || minor - otherMinor);
  return `pc-i440fx-${oldest?.join(".")}`;
}

function run({ command: [command, ...first], env }: Program, args: readonly string[]): string {
  const options = { encoding: "utf8", env: { ...process.env, ...env } } as const;
  return spawnSync(command, [...first, ...args], options).stdout ?? "";
}
