/** Reads a stream with all its channels: RAM to where it is to go, everything else as elements. */

import { type DeviceState, DeviceStates } from "../stream/device-state.ts";
import type { Element } from "../stream/elements.ts";
import { malformed, ofFile } from "../stream/malformed.ts";
import { type ParserOptions, StreamParser } from "../stream/parser.ts";
import { UrgentParser } from "../stream/urgent.ts";
import { isUrgentFile } from "./capture.ts";
import { Channel } from "./channel.ts";
import { readStream } from "./read.ts";

export interface IngestOptions extends ParserOptions {
  /** FILE, or standard input for undefined and "-". */
  readonly file: string | undefined;
  /** Captured channels: multifd's, or a postcopy's for urgent pages. */
  readonly channels?: readonly string[] | undefined;
  /** What came of a device through channels: in the end, when all of it is there. */
  readonly onDeviceState?: ((state: DeviceState) => void) | undefined;
  /** Called wherever the parser has stopped: who takes elements may hold it up. */
  readonly between?: (() => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with the stream's length in its file. Throws READ_SOURCE, PROTOCOL, TRUNCATED, WRITE_SINK. */
export async function ingest(options: IngestOptions): Promise<number> {
  await using channels = await Channels.open(options);
  const parser = new StreamParser({
    ...options,
    onFlush: () => channels.onFlush(),
    onElement: (element) => {
      channels.onElement(element);
      options.onElement(element);
    },
  });
  const between = async () => {
    await channels.catchUp();
    await options.between?.();
  };
  await readStream(options.file, parser, { signal: options.signal, between });
  for (const state of await channels.finish()) options.onDeviceState?.(state);
  return parser.offset;
}

/** Which channels are due, and when: QEMU, multifd_ram_flush_and_sync in migration/multifd-nocomp.c. */
class Channels implements AsyncDisposable {
  readonly #options: IngestOptions;
  readonly #states = new DeviceStates();
  readonly #channels: Channel[] = [];
  readonly #urgent: readonly string[];
  /** Else, up to machines of QEMU 8.0, every section of RAM ends a round. */
  #hasFlushes = false;
  #areDue = false;
  #isPostcopy = false;

  private constructor(options: IngestOptions, urgent: readonly string[]) {
    this.#options = options;
    this.#urgent = urgent;
  }

  /** Throws READ_SOURCE, and the signal's reason. */
  static async open(options: IngestOptions): Promise<Channels> {
    const { channels = [], ram, signal } = options;
    const all = new Channels(options, channels.filter(isUrgentFile));
    try {
      for (const file of channels.filter((each) => !all.#urgent.includes(each)))
        all.#channels.push(await Channel.open(file, ram, all.#states, signal));
      return all;
    } catch (error) {
      await all[Symbol.asyncDispose]();
      throw error;
    }
  }

  onFlush(): void {
    this.#hasFlushes = true;
    this.#areDue = true;
  }

  onElement(element: Element): void {
    if (element.type === "command" && element.name === "postcopy-advise") this.#isPostcopy = true;
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
    for (const file of this.#urgent) await this.#readUrgent(file);
    return this.#states.finished();
  }

  /** A postcopy sends each page once, on either channel, after those that it has discarded. */
  async #readUrgent(file: string): Promise<void> {
    const { ram, signal } = this.#options;
    try {
      if (!this.#isPostcopy)
        throw malformed({
          offset: 0,
          expected: "a channel of multifd's",
          found: "a postcopy's, which this is not",
        });
      await readStream(file, new UrgentParser(ram), { signal });
    } catch (error) {
      throw ofFile(error, file);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) await channel[Symbol.asyncDispose]();
  }
}
