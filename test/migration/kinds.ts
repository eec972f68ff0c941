/** The kinds of streams that QEMU makes: what is asked of it for each. */
import type { Machine } from "../peers/machine.ts";
import { slow, untilPostcopy, untilXbzrle } from "./courses.ts";
import { oldestPc, type Qemu } from "./qemus.ts";

export interface Kind {
  /** How it gets out of QEMU and into one: see save.ts and load.ts. */
  readonly carrier: "pipe" | "file" | "channels" | "postcopy";
  /** The first QEMU that has it, and the last. */
  readonly since?: number;
  readonly until?: number;
  readonly hardware?: (qemu: Qemu) => Hardware;
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** What is done before it begins. */
  readonly prepare?: (source: Machine) => Promise<void>;
  /** What is done once the migration has begun, for it to end. */
  readonly course?: (source: Machine) => Promise<void>;
  /** Where in the file it begins. */
  readonly offset?: number;
  /** The guest's memory is not in it. */
  readonly isMemoryShared?: true;
}

/** What has to be the same at both ends. */
export interface Hardware {
  /** For -machine: "pc" by default. */
  readonly machine?: string;
  /** What the block of its memory is named: by default as QEMU does without a backend. */
  readonly block?: string;
  readonly args?: readonly string[];
}

export const multifdChannels = 2;

function multifd(compression: string): Kind {
  const parameters = {
    "multifd-channels": multifdChannels,
    "multifd-compression": compression,
  };
  return { carrier: "channels", capabilities: ["multifd"], parameters };
}

const postcopy: Kind = {
  carrier: "postcopy",
  capabilities: ["postcopy-ram"],
  parameters: { ...slow, "max-postcopy-bandwidth": 256 << 10 },
  course: untilPostcopy,
};

const mappedRam: Kind = { carrier: "file", since: 9.0, capabilities: ["mapped-ram"] };

const uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

const table = {
  plain: { carrier: "pipe" },
  xbzrle: { carrier: "pipe", capabilities: ["xbzrle"], parameters: slow, course: untilXbzrle },
  compress: { carrier: "pipe", until: 9.0, capabilities: ["compress"] },
  "mapped-ram": mappedRam,
  "mapped-ram-offset": { ...mappedRam, offset: 4096 },
  "mapped-ram-multifd": { ...mappedRam, capabilities: ["mapped-ram", "multifd"] },
  // QEMU 10 fails to write it.
  "mapped-ram-shared": {
    ...mappedRam,
    since: 11.0,
    capabilities: ["mapped-ram", "x-ignore-shared"],
    isMemoryShared: true,
  },
  "multifd-none": multifd("none"),
  "multifd-zlib": multifd("zlib"),
  "multifd-zstd": multifd("zstd"),
  postcopy,
  "postcopy-preempt": { ...postcopy, capabilities: ["postcopy-ram", "postcopy-preempt"] },
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
  "dirty-bitmap": {
    carrier: "pipe",
    capabilities: ["dirty-bitmaps"],
    hardware: () => ({ args: ["-blockdev", "driver=null-co,node-name=disk,size=67108864"] }),
    prepare: async ({ qmp }) => {
      await qmp.execute("block-dirty-bitmap-add", { node: "disk", name: "changes" });
    },
  },
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
