/** Reads a stream with all its channels: RAM to where it is to go, everything else as elements. */

import { type DeviceState, DeviceStates } from "../stream/device-state.ts";
import type { Element } from "../stream/elements.ts";
import { type ParserOptions, StreamParser } from "../stream/parser.ts";
import { Channel } from "./channel.ts";
import { readStream } from "./read.ts";

export interface IngestOptions extends ParserOptions {
  /** FILE, or standard input for undefined and "-". */
  readonly file: string | undefined;
  /** Captured channels of multifd. */
  readonly channels?: readonly string[] | undefined;
  /** What came of a device through channels: in the end, when all of it is there. */
  readonly onDeviceState?: ((state: DeviceState) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with the stream's length in its file. Throws READ_SOURCE, PROTOCOL, TRUNCATED, WRITE_SINK. */
export async function ingest(options: IngestOptions): Promise<number> {
  await using channels = new Channels(options);
  const parser = new StreamParser({
    ...options,
    onFlush: () => channels.onFlush(),
    onElement: (element) => {
      channels.onElement(element);
      options.onElement(element);
    },
  });
  const between = () => channels.catchUp();
  await readStream(options.file, parser, { signal: options.signal, between });
  for (const state of await channels.finish()) options.onDeviceState?.(state);
  return parser.offset;
}

/** Which channels are due, and when: QEMU, multifd_ram_flush_and_sync in migration/multifd-nocomp.c. */
class Channels implements AsyncDisposable {
  readonly #channels: readonly Channel[];
  readonly #states = new DeviceStates();
  /** Else, up to machines of QEMU 8.0, every section of RAM ends a round. */
  #hasFlushes = false;
  #areDue = false;

  constructor({ channels = [], ram, signal }: IngestOptions) {
    this.#channels = channels.map((file) => new Channel(file, ram, this.#states, signal));
  }

  onFlush(): void {
    this.#hasFlushes = true;
    this.#areDue = true;
  }

  onElement(element: Element): void {
    if (!("payload" in element)) return;
    const { kind } = element.payload;
    if (kind === "ram" && !this.#hasFlushes) this.#areDue = true;
    if (kind === "vfio" && element.type === "start") this.#states.start(element);
  }

  async catchUp(): Promise<void> {
    if (!this.#areDue) return;
    this.#areDue = false;
    for (const channel of this.#channels) await channel.catchUp();
  }

  async finish(): Promise<readonly DeviceState[]> {
    for (const channel of this.#channels) while (!channel.hasEnded) await channel.catchUp();
    return this.#states.finished();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) await channel[Symbol.asyncDispose]();
  }
}
