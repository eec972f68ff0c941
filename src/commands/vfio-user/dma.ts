/** zc vfio-user dma: memory for a device, and what it does with that. */
import { readFileSync } from "node:fs";
import { defineCommand, type OptionValues } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { reading, writeAt, writing } from "../../files.ts";
import { printNote, printResult } from "../../print.ts";
import { pause } from "../../run-job.ts";
import { Interrupted } from "../../signals.ts";
import { openOutput } from "../../transfer/output.ts";
import { formatCounted, formatSize, parseDuration, parseSize } from "../../units.ts";
import { changedRanges } from "../../vfio-user/changed-ranges.ts";
import type { DmaTarget } from "../../vfio-user/client/dma-memory.ts";
import type { Client } from "../../vfio-user/client.ts";
import { SharedMemory } from "../../vfio-user/shared-memory.ts";
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
    return withClient(server, values, async (client, signal) => {
      using memory = new SharedMemory(size);
      if (values.in !== undefined) fill(memory, values.in);
      const before = memory.bytes.slice();
      const begin = performance.now();
      const watched = new Watched(memory, address, values);
      await serve(client, { address, size, memory, watched, values, signal });
      if (values.out !== undefined) keep(memory.bytes, values.out);
      const changed = changedRanges(before, memory.bytes);
      tell({ address, size, begin, changed, watched }, values);
      return 0;
    });
  },
});

interface Serving {
  readonly address: bigint;
  readonly size: number;
  readonly memory: SharedMemory;
  readonly watched: Watched;
  readonly values: Values;
  readonly signal: AbortSignal;
}

/** A signal is the end that was asked for: what the device has done by then is told. */
async function serve(
  client: Client,
  { address, size, memory, watched, values, signal }: Serving,
): Promise<void> {
  const file = values.noFd ? undefined : { fd: memory.fd, offset: 0n };
  const range = { address, size: BigInt(size) };
  await client.memory.map(
    { ...range, readable: true, writable: true, file, target: watched },
    { signal },
  );
  if (!values.quiet) printNote(`zc: ${formatSize(size)} mapped at 0x${address.toString(16)}`);
  try {
    await ring(client, values.write, signal);
    await pause(values.timeout ?? forEver, signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  }
  await client.memory.unmap(range);
}

/** The longest that a timer takes; ms. */
const forEver = 0x7fff_ffff;

/** Tells of each access by a message. */
class Watched implements DmaTarget {
  readonly #memory: SharedMemory;
  readonly #address: bigint;
  readonly #values: Values;
  readonly counts = { reads: 0, writes: 0, bytesRead: 0, bytesWritten: 0 };

  constructor(memory: SharedMemory, address: bigint, values: Values) {
    this.#memory = memory;
    this.#address = address;
    this.#values = values;
  }

  read(offset: bigint, size: number): Uint8Array {
    const data = this.#memory.read(offset, size);
    this.counts.reads++;
    this.counts.bytesRead += size;
    this.#tell("read", offset, data);
    return data;
  }

  write(offset: bigint, data: Uint8Array): void {
    this.#memory.write(offset, data);
    this.counts.writes++;
    this.counts.bytesWritten += data.length;
    this.#tell("write", offset, data);
  }

  #tell(access: "read" | "write", offset: bigint, data: Uint8Array): void {
    const address = hexOf(this.#address + offset);
    const bytes = data.length;
    const hex = data.subarray(0, shownMax).toHex();
    if (this.#values.json) printResult(JSON.stringify({ access, address, bytes, hex }));
    else printResult(`${access} ${address} ${formatCounted(bytes, "byte")}: ${words(hex, bytes)}`);
  }
}

function words(hex: string, bytes: number): string {
  return `${hex.replace(/..(?=.)/g, "$& ")}${bytes > shownMax ? " …" : ""}`;
}

function fill(memory: SharedMemory, file: string): void {
  const content = reading(file, () => readFileSync(file));
  if (content.length > memory.bytes.length)
    throw usageError("--in", `${file} has ${content.length} bytes, more than SIZE`);
  memory.bytes.set(content);
}

function keep(bytes: Uint8Array, file: string): void {
  using output = openOutput(file);
  writing(output.name, () => writeAt(output.descriptor.fd, bytes, 0));
  output.commit();
}

interface Told {
  readonly address: bigint;
  readonly size: number;
  readonly begin: number;
  readonly changed: readonly { readonly offset: number; readonly size: number }[];
  readonly watched: Watched;
}

function tell({ address, size, begin, changed, watched }: Told, { json, quiet }: Values): void {
  const ranges = changed.map((range) => ({
    address: hexOf(address + BigInt(range.offset)),
    size: range.size,
  }));
  const { counts: messages } = watched;
  const seconds = (performance.now() - begin) / 1e3;
  const summary = { address: hexOf(address), size, seconds, messages, changed: ranges };
  if (json) printResult(JSON.stringify(summary));
  else
    for (const range of ranges)
      printResult(`changed ${range.address} ${formatCounted(range.size, "byte")}`);
  if (json || quiet) return;
  const asked = `${formatCounted(messages.reads, "read")}, ${formatCounted(messages.writes, "write")}`;
  printNote(`zc: by messages: ${asked}`);
}

function hexOf(value: bigint): string {
  return `0x${value.toString(16)}`;
}
