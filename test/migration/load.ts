/** Streams back into a QEMU. */
import { copyFileSync } from "node:fs";
import { untilListening } from "../peers/listening.ts";
import { type Machine, migrationEnd } from "../peers/machine.ts";
import type { Scratch } from "../support/scratch.ts";
import { replay } from "./connections.ts";
import { type Kind, setUp } from "./kinds.ts";
import { startGuest } from "./machine.ts";
import type { Qemu } from "./qemus.ts";
import type { Stream } from "./streams.ts";

export interface Loaded {
  /** Paused: QMP's cont lets the guest go on. */
  readonly machine: Machine;
  /** The file that is its memory. */
  readonly memory: string;
}

/** Resolves once QEMU has loaded it; rejects, with what QEMU says, when it refuses to. */
export async function load(folder: Scratch, qemu: Qemu, stream: Stream): Promise<Loaded> {
  const { kind } = stream;
  const memory = folder.file("loaded");
  if (kind.isMemoryShared === true) copyFileSync(stream.memory, memory);
  const hardware = kind.hardware?.(qemu) ?? {};
  const waiting = ["-S", "-incoming", "defer"];
  const machine = await startGuest(folder, "loading", qemu, memory, hardware, ...waiting);
  await setUp(machine, kind);
  await carriers[kind.carrier](machine, stream, folder);
  const status = await migrationEnd(machine);
  if (status !== "completed") throw new Error(`migration ${status}: ${machine.process.notes()}`);
  return { machine, memory };
}

type Carrier = (machine: Machine, stream: Stream, folder: Scratch) => Promise<void>;

const carriers: Readonly<Record<Kind["carrier"], Carrier>> = {
  pipe: ({ qmp }, { main }) => incoming(qmp, `exec:cat ${main}`),
  file: ({ qmp }, { main, kind }) => incoming(qmp, `file:${main},offset=${kind.offset ?? 0}`),
  channels: replayed,
  postcopy: replayed,
};

async function replayed({ qmp, process }: Machine, stream: Stream, folder: Scratch): Promise<void> {
  const path = folder.file("incoming");
  await incoming(qmp, `unix:${path}`);
  await untilListening(process, `unix:${path}`);
  await replay([stream.main, ...stream.channels], path);
}

async function incoming(qmp: Machine["qmp"], uri: string): Promise<void> {
  await qmp.execute("migrate-incoming", { uri });
}
