/** Streams out of a QEMU. */
import { rmSync, writeFileSync } from "node:fs";
import { untilListening } from "../peers/listening.ts";
import { type Machine, migrationEnd } from "../peers/machine.ts";
import type { Scratch } from "../support/scratch.ts";
import { recorder, recordingProxy } from "./connections.ts";
import { type Kind, multifdChannels } from "./kinds.ts";
import { startGuest } from "./machine.ts";
import { digHoles, makeMemory, untilWritten } from "./memory.ts";
import type { Qemu } from "./qemus.ts";

/** Files, but for its kind. */
export interface Stream {
  readonly kind: Kind;
  readonly main: string;
  /** multifd's, by their number; or that of a postcopy for what is urgent. */
  readonly channels: readonly string[];
  /** What the destination of a postcopy answered. */
  readonly returnPath?: string;
  /** All of the guest's memory, as the source has it after the migration. */
  readonly memory: string;
}

export async function save(folder: Scratch, qemu: Qemu, kind: Kind): Promise<Stream> {
  const memory = folder.file("memory");
  makeMemory(memory);
  const machine = await startGuest(folder, "source", qemu, kind, memory);
  const source = { folder, qemu, kind, machine };
  await untilWritten(memory);
  await kind.prepare?.(machine);
  const files = await carriers[kind.carrier](source);
  await digHoles(memory);
  return { kind, memory, ...files };
}

interface Source {
  readonly folder: Scratch;
  readonly qemu: Qemu;
  readonly kind: Kind;
  readonly machine: Machine;
}

type Files = Pick<Stream, "main" | "channels" | "returnPath">;

const carriers: Readonly<Record<Kind["carrier"], (source: Source) => Promise<Files>>> = {
  pipe: async (source) => {
    const main = source.folder.file("main");
    await migrate(source, `exec:cat >${main}`);
    return { main, channels: [] };
  },
  file: async (source) => {
    const main = source.folder.file("main");
    await migrate(source, `file:${main},offset=${source.kind.offset ?? 0}`);
    return { main, channels: [] };
  },
  channels: async (source) => {
    const path = source.folder.file("channels");
    const { recorded } = await recorder(path, 1 + multifdChannels);
    await migrate(source, `unix:${path}`);
    return channelFiles(source.folder, await recorded);
  },
  postcopy: async (source) => {
    const { folder, qemu, kind } = source;
    const memory = folder.file("destination.memory");
    const incoming = ["-incoming", "defer"];
    const destination = await startGuest(folder, "destination", qemu, kind, memory, ...incoming);
    const [near, far] = [folder.file("near"), folder.file("far")];
    await destination.qmp.execute("migrate-incoming", { uri: `unix:${far}` });
    await untilListening(destination.process, `unix:${far}`);

    const isPreempted = kind.capabilities?.includes("postcopy-preempt") === true;
    const { recorded } = await recordingProxy(near, far, isPreempted ? 2 : 1);
    await migrate(source, `unix:${near}`);
    const [main, ...others] = await recorded;
    await quit(destination);
    rmSync(memory);
    return {
      main: write(folder, "main", main?.there),
      channels: others.map(({ there }) => write(folder, "urgent", there)),
      returnPath: write(folder, "return-path", main?.back),
    };
  },
};

async function migrate({ machine, kind }: Source, uri: string): Promise<void> {
  await machine.qmp.execute("migrate", { uri });
  await kind.course?.(machine);
  const status = await migrationEnd(machine);
  if (status !== "completed") throw new Error(`migration ${status}: ${machine.process.notes()}`);
  await quit(machine);
}

async function quit({ qmp, process }: Machine): Promise<void> {
  await qmp.execute("quit");
  await process.result;
}

/** multifd's connections come in any order. */
function channelFiles(folder: Scratch, recorded: readonly Buffer[]): Files {
  const isMain = (bytes: Buffer) => bytes.readUInt32BE(0) === magic.stream;
  const numberOf = (bytes: Buffer) => bytes.readUInt8(channelNumberAt);
  const channels = recorded.filter((bytes) => !isMain(bytes));
  channels.sort((one, other) => numberOf(one) - numberOf(other));
  return {
    main: write(folder, "main", recorded.find(isMain)),
    channels: channels.map((bytes, index) => write(folder, `channel${index}`, bytes)),
  };
}

/** What a connection begins with. */
export const magic = { stream: 0x5145564d, multifd: 0x11223344 } as const;

/** In the packet that a channel of multifd begins with. */
const channelNumberAt = 24;

function write(folder: Scratch, name: string, bytes: Buffer | undefined): string {
  writeFileSync(folder.file(name), bytes ?? "");
  return folder.file(name);
}
