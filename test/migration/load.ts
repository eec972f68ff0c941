/** Streams back into a QEMU. */
import { copyFileSync } from "node:fs";
import { untilListening } from "../peers/listening.ts";
import { type Machine, migrationEnd } from "../peers/machine.ts";
import type { Scratch } from "../support/scratch.ts";
import { replay } from "./connections.ts";
import type { Kind } from "./kinds.ts";
import { startGuest } from "./machine.ts";
import type { Qemu } from "./qemus.ts";
import type { Stream } from "./save.ts";

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
  const waiting = ["-S", "-incoming", "defer"];
  const machine = await startGuest(folder, "loading", qemu, kind, memory, ...waiting);
  await carriers[kind.carrier](machine, stream, folder);
  const status = await migrationEnd(machine).catch(() => "ended");
  if (status === "completed") return { machine, memory };
  const { stderr } = await machine.process.result; // it ends when it cannot load
  throw new Error(`QEMU does not load it: ${stderr}`);
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
