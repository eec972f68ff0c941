/** The kinds of streams that QEMU makes: what is asked of it for each. */
import { setTimeout as pause } from "node:timers/promises";
import { type Machine, setCapabilities } from "../peers/machine.ts";
import type { Hardware } from "./machine.ts";
import { oldestPc, type Qemu } from "./qemus.ts";

export interface Kind {
  /** How it gets out of QEMU and into one: see streams.ts and load.ts. */
  readonly carrier: "pipe" | "file" | "channels" | "postcopy";
  /** The first QEMU that has it, and the last. */
  readonly since?: number;
  readonly until?: number;
  readonly hardware?: (qemu: Qemu) => Hardware;
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** What is done once the migration has begun, for it to end. */
  readonly course?: (source: Machine) => Promise<void>;
  /** Where in the file it begins. */
  readonly offset?: number;
  /** The guest's memory is not in it. */
  readonly isMemoryShared?: true;
}

/**
 * QEMU sends a tenth of it at once and then rests: less than what the guest dirties, so that it does
 * write in each round, and the migration does not end with the second.
 */
const slow = { "max-bandwidth": 3 << 20, "downtime-limit": 1 };
const ending = { "downtime-limit": 5000 };

export const multifdChannels = 2;

function multifd(compression: string): Kind {
  const parameters = {
    "multifd-channels": multifdChannels,
    "multifd-compression": compression,
  };
  return { carrier: "channels", capabilities: ["multifd"], parameters };
}

const mappedRam: Kind = { carrier: "file", since: 9.0, capabilities: ["mapped-ram"] };

const uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

const table = {
  plain: { carrier: "pipe" },
  xbzrle: { carrier: "pipe", capabilities: ["xbzrle"], parameters: slow, course: untilXbzrle },
  compress: { carrier: "pipe", until: 9.0, capabilities: ["compress"] },
  "mapped-ram": mappedRam,
  "mapped-ram-offset": { ...mappedRam, offset: 4096 },
  "mapped-ram-multifd": { ...mappedRam, capabilities: ["mapped-ram", "multifd"] },
  "multifd-none": multifd("none"),
  "multifd-zlib": multifd("zlib"),
  "multifd-zstd": multifd("zstd"),
  postcopy: {
    carrier: "postcopy",
    capabilities: ["postcopy-ram"],
    parameters: { ...slow, "max-postcopy-bandwidth": 256 << 10 },
    course: untilPostcopy,
  },
  shared: { carrier: "pipe", capabilities: ["x-ignore-shared"], isMemoryShared: true },
  uuid: {
    carrier: "pipe",
    capabilities: ["validate-uuid"],
    hardware: () => ({ args: ["-uuid", uuid] }),
  },
  q35: { carrier: "pipe", hardware: () => ({ machine: "q35" }) },
  "pc-9.2": { carrier: "pipe", since: 9.2, hardware: () => ({ machine: "pc-i440fx-9.2" }) },
  "oldest-pc": { carrier: "pipe", hardware: (qemu) => ({ machine: oldestPc(qemu) }) },
  "no-footers": {
    carrier: "pipe",
    hardware: () => ({ args: ["-global", "migration.send-section-footer=off"] }),
  },
  "no-description": { carrier: "pipe", hardware: () => ({ machine: "pc,suppress-vmdesc=on" }) },
  "named-block": { carrier: "pipe", hardware: () => ({ block: "memory0" }) },
} satisfies Record<string, Kind>;

export type KindName = keyof typeof table;

export const kinds: Readonly<Record<KindName, Kind>> = table;

/** Those that this QEMU can make. */
export function kindsOf({ version }: Qemu): readonly KindName[] {
  const number = Number.parseFloat(version);
  const names = Object.keys(table) as KindName[];
  return names.filter((name) => {
    const { since = 0, until = Number.POSITIVE_INFINITY } = kinds[name];
    return !(number < since || number > until); // all of a QEMU that cannot be had
  });
}

async function untilXbzrle({ qmp }: Machine): Promise<void> {
  await untilMigrated(qmp, (progress) => (progress["xbzrle-cache"]?.bytes ?? 0) > 0);
  await qmp.execute("migrate-set-parameters", ending);
}

/** What was sent before, and written to since, is discarded, asked for and sent again. */
async function untilPostcopy({ qmp }: Machine): Promise<void> {
  await untilMigrated(qmp, ({ ram }) => (ram?.transferred ?? 0) > 1 << 20);
  await qmp.execute("migrate-start-postcopy");
  await untilMigrated(qmp, ({ ram }) => (ram?.["postcopy-requests"] ?? 0) > 1);
  await qmp.execute("migrate-set-parameters", { "max-postcopy-bandwidth": 0 });
}

interface Progress {
  readonly status?: string;
  readonly ram?: { readonly transferred: number; readonly "postcopy-requests": number };
  readonly "xbzrle-cache"?: { readonly bytes: number };
}

async function untilMigrated(
  qmp: Machine["qmp"],
  isThere: (progress: Progress) => boolean,
): Promise<void> {
  for (;;) {
    const progress = (await qmp.execute("query-migrate")) as Progress;
    if (isThere(progress)) return;
    if (progress.status === "completed" || progress.status === "failed")
      throw new Error(`the migration has ${progress.status} too early`);
    await pause(20);
  }
}

/** Either end. */
export async function setUp({ qmp }: Machine, { capabilities = [], parameters = {} }: Kind) {
  await setCapabilities(qmp, capabilities);
  await qmp.execute("migrate-set-parameters", parameters);
}
