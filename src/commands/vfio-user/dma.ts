/** zc vfio-user dma: memory for a device, and what it does with that. */
import { defineCommand, type OptionValues } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { writeAt, writing } from "../../files.ts";
import { printNote } from "../../print.ts";
import type { Results } from "../../results.ts";
import { pause } from "../../run-job.ts";
import { openOutput } from "../../transfer/output.ts";
import { durationMsMax, formatCounted, formatSize, parseDuration, parseSize } from "../../units.ts";
import { type ChangedRange, ChangedRanges } from "../../vfio-user/changed-ranges.ts";
import type { DmaTarget } from "../../vfio-user/client/dma-memory.ts";
import type { Client } from "../../vfio-user/client.ts";
import { memorySizeMax, SharedMemory } from "../../vfio-user/shared-memory.ts";
import { Content } from "./content.ts";
import {
  bellOption,
  jsonOption,
  parseOffset,
  quietOption,
  ring,
  serverOptions,
  withClient,
} from "./server.ts";

const options = {
  noFd: { flag: "--no-fd", text: "no descriptor: it asks by messages, and each is a line" },
  in: { flag: "--in <file>", text: "what is in the memory at first; else zeros", parse: String },
  out: { flag: "--out <file>", text: "what is in it at the end", parse: String },
  write: bellOption,
  timeout: {
    flag: "--timeout <time>",
    text: "for so long; else until a signal",
    parse: parseDuration,
  },
  ...serverOptions,
  json: { ...jsonOption, text: "the summary as a JSON object, on the last line" },
  quiet: quietOption,
} as const;

type Values = OptionValues<typeof options>;

/** Bytes of data in a line. */
const shownMax = 16;

export const command = defineCommand({
  usage: "SOCKET ADDRESS SIZE",
  text: [
    "Give the device memory at an address of its own, and show what it reads and writes there,",
    "until a signal or --timeout. What it does through the descriptor is seen when it is over.",
  ].join("\n"),
  options,
  examples: [
    "zc vfio-user dma /run/device.sock 0x100000 64K --in disk.img --out after.img",
    "zc vfio-user dma /run/device.sock 0 4K --no-fd --write bar0:0:01000000 --timeout 1s",
  ],
  run: ([server = "", at = "", count = ""], values) => {
    const address = parseOffset(at, "ADDRESS");
    const size = parseSize(count, "SIZE");
    if (size === 0) throw usageError("SIZE", "it cannot be 0");
    if (size > memorySizeMax)
      throw usageError("SIZE", `${size} is more than ${formatSize(memorySizeMax)}`);
    return withClient(server, values, async (client, signal, results) => {
      using memory = new SharedMemory(size);
      using before = new SharedMemory(size);
      if (values.in !== undefined) await fill([memory, before], values.in, signal);
      const begin = performance.now();
      const watched = new Watched(memory, address, values, results);
      await map(client, { address, memory, watched, values, signal });
      try {
        await serve(client, { address, memory, watched, values, signal });
      } finally {
        // Whatever has ended it, a signal or the device: it is not lost what this has done.
        if (values.out !== undefined) await keep(memory, values.out);
        const changed = compare(before, memory);
        tell({ address, size, begin, changed, watched }, values, results);
      }
      return 0;
    });
  },
});

interface Serving {
  readonly address: bigint;
  readonly memory: SharedMemory;
  readonly watched: Watched;
  readonly values: Values;
  readonly signal: AbortSignal;
}

async function map(
  client: Client,
  { address, memory, watched, values, signal }: Serving,
): Promise<void> {
  const file = values.noFd ? undefined : { fd: memory.fd, offset: 0n };
  const rights = { readable: true, writable: true };
  const range = { address, size: BigInt(memory.bytes.length) };
  await client.memory.map({ ...range, ...rights, file, target: watched }, { signal });
  if (values.quiet) return;
  printNote(`zc: ${formatSize(memory.bytes.length)} mapped at ${hexOf(address)}`);
}

/** After a signal it is the connection's end that takes the memory away. */
async function serve(client: Client, { address, memory, values, signal }: Serving): Promise<void> {
  await ring(client, values.write, signal);
  await pause(values.timeout ?? durationMsMax, signal);
  await client.memory.unmap({ address, size: BigInt(memory.bytes.length) }, { signal });
}

/** Tells of each access by a message. */
class Watched implements DmaTarget {
  readonly #memory: SharedMemory;
  readonly #address: bigint;
  readonly #values: Values;
  readonly #results: Results;
  readonly counts = { reads: 0, writes: 0, bytesRead: 0, bytesWritten: 0 };

  constructor(memory: SharedMemory, address: bigint, values: Values, results: Results) {
    this.#memory = memory;
    this.#address = address;
    this.#values = values;
    this.#results = results;
  }

  async read(offset: bigint, size: number): Promise<Uint8Array> {
    const data = this.#memory.read(offset, size);
    this.counts.reads++;
    this.counts.bytesRead += size;
    await this.#tell("read", offset, data);
    return data;
  }

  async write(offset: bigint, data: Uint8Array): Promise<void> {
    this.#memory.write(offset, data);
    this.counts.writes++;
    this.counts.bytesWritten += data.length;
    await this.#tell("write", offset, data);
  }

  async #tell(access: "read" | "write", offset: bigint, data: Uint8Array): Promise<void> {
    const address = hexOf(this.#address + offset);
    const bytes = data.length;
    const hex = data.subarray(0, shownMax).toHex();
    const line = `${access} ${address} ${formatCounted(bytes, "byte")}: ${words(hex, bytes)}`;
    this.#results.print(this.#values.json ? JSON.stringify({ access, address, bytes, hex }) : line);
    await this.#results.room();
  }
}

function words(hex: string, bytes: number): string {
  return `${hex.replace(/..(?=.)/g, "$& ")}${bytes > shownMax ? " …" : ""}`;
}

/** All of them, which are as large as each other. */
async function fill(
  memories: readonly SharedMemory[],
  file: string,
  signal: AbortSignal,
): Promise<void> {
  using content = new Content(file);
  const assertRoom = (bytes: number) => {
    const isTooMuch = memories.some((memory) => bytes > memory.bytes.length);
    if (isTooMuch) throw usageError("--in", `${content.name} has more bytes than SIZE`);
  };
  assertRoom(content.size ?? 0);
  let at = 0;
  for await (const bytes of content.portions(signal)) {
    assertRoom(at + bytes.length);
    for (const memory of memories) memory.bytes.set(bytes, at);
    at += bytes.length;
  }
}

async function keep(memory: SharedMemory, file: string): Promise<void> {
  using output = await openOutput(file);
  let at = 0;
  for (const piece of memory.pieces()) {
    writing(output.name, () => writeAt(output.descriptor.fd, piece, at));
    at += piece.length;
  }
  output.commit();
}

function compare(before: SharedMemory, after: SharedMemory): readonly ChangedRange[] {
  const ranges = new ChangedRanges();
  const pieces = before.pieces();
  for (const piece of after.pieces()) ranges.compare(pieces.next().value ?? piece, piece);
  return ranges.all;
}

interface Told {
  readonly address: bigint;
  readonly size: number;
  readonly begin: number;
  readonly changed: readonly ChangedRange[];
  readonly watched: Watched;
}

function tell(
  { address, size, begin, changed, watched }: Told,
  { json, quiet }: Values,
  results: Results,
): void {
  const ranges = changed.map((range) => ({
    address: hexOf(address + BigInt(range.offset)),
    size: range.size,
  }));
  const { counts: messages } = watched;
  const seconds = (performance.now() - begin) / 1e3;
  const summary = { address: hexOf(address), size, seconds, messages, changed: ranges };
  if (json) results.print(JSON.stringify(summary));
  else
    for (const range of ranges)
      results.print(`changed ${range.address} ${formatCounted(range.size, "byte")}`);
  if (json || quiet) return;
  const asked = `${formatCounted(messages.reads, "read")}, ${formatCounted(messages.writes, "write")}`;
  printNote(`zc: by messages: ${asked}`);
}

function hexOf(value: bigint): string {
  return `0x${value.toString(16)}`;
}
