/**
 * One client of a device: what it has mapped, what it listens to, and how its requests are handled.
 * When it goes, at whatever moment, the device is reset, and nothing of the client is left.
 */
import { constants } from "node:os";
import type { Connection as Socket } from "../../endpoint/connection.ts";
import type { ZcError } from "../../errors.ts";
import type { DeviceState } from "../../vfio/states.ts";
import { Connection, type Reply, type Request } from "../connection.ts";
import { commandName } from "../protocol/commands.ts";
import { Refusal } from "../refusal.ts";
import { handlers } from "./commands/index.ts";
import {
  type Bus,
  type DeviceRegion,
  isReadable,
  isWritable,
  type ResetReason,
  regionSize,
  type VirtualDevice,
} from "./device.ts";
import { DmaMaps } from "./dma-maps.ts";
import { DmaMessages } from "./dma-messages.ts";
import { Interrupts } from "./interrupts.ts";
import { dataSizeMax, fdsMax } from "./limits.ts";
import { Migration } from "./migration.ts";

/** What is done with a request. Throws Refusal or Malformed. */
export type Handler = (session: Session, request: Request) => Reply | Promise<Reply>;

export interface SessionOptions {
  /** Told of what the client was refused, with its command's number. */
  readonly onRefusal?: ((command: number, error: unknown) => void) | undefined;
}

/** What VERSION has settled. */
export interface Negotiated {
  /** Bytes that the client takes in a message. */
  readonly dataSizeMax: number;
  /** The socket that our own requests go over, if it is not the one of the client's. */
  readonly twin?: Socket | undefined;
}

const { EINVAL, ENOTCONN } = constants.errno;
export const emptyReply: Reply = { payload: new Uint8Array(0) };
/** VFIO_PCI_NUM_REGIONS */
const pciRegionCount = 9;

/** Owns the connection. */
export class Session {
  /** Resolves when the client is gone and the device is alone again, with why it went. */
  readonly ended: Promise<ZcError | undefined>;
  readonly device: VirtualDevice;
  readonly regionCount: number;
  readonly interrupts: Interrupts;
  readonly dma: DmaMaps;
  /** undefined: the device cannot be migrated. */
  readonly migration: Migration | undefined;
  readonly #connection: Connection;
  #negotiated: Negotiated | undefined;
  #messages: DmaMessages | undefined;
  #isOver = false;

  constructor(socket: Socket, device: VirtualDevice, { onRefusal }: SessionOptions = {}) {
    this.device = device;
    this.regionCount = countRegions(device);
    this.interrupts = new Interrupts(device);
    this.dma = new DmaMaps(() => this.#dmaMessages());
    this.migration =
      device.migration && new Migration(device.migration, (state) => this.#serveMemory(state));
    this.#connection = new Connection(socket, {
      onRequest: (request) => this.#handle(request),
      onRefusal,
      maxDataXferSize: dataSizeMax,
      fdsMax,
    });
    this.ended = this.#end();
  }

  /** Bytes that the client takes in a message. */
  get dataSizeMax(): number {
    return this.#negotiated?.dataSizeMax ?? 0;
  }

  /** Ends it at once. */
  cancel(): void {
    this.#connection[Symbol.dispose]();
  }

  /** undefined: no such index, or a region of no bytes. */
  region(index: number): DeviceRegion | undefined {
    return Object.hasOwn(this.device.regions, index) ? this.device.regions[index] : undefined;
  }

  /** From now on other requests than VERSION are taken. */
  async begin(negotiated: Negotiated): Promise<void> {
    this.#negotiated = negotiated;
    const { twin, dataSizeMax: size } = negotiated;
    const connection = twin === undefined ? this.#connection : this.#openTwin(twin);
    this.#messages = new DmaMessages(connection, size);
    // Whoever waits on the twin waits no longer than the client is there.
    void this.#connection.link.ended.then(() => connection[Symbol.dispose]());
    this.#serveMemory("RUNNING");
    await this.device.attached?.(this.#bus());
  }

  /** The device's own, and with it its place in a migration. */
  async reset(reason: ResetReason): Promise<void> {
    await this.device.reset?.(reason);
    this.migration?.reset();
  }

  /** VERSION comes first, and once. As libvfio-user, nothing follows what is refused before it. */
  async #handle(request: Request): Promise<Reply> {
    const name = commandName(request.command);
    const isFirst = this.#negotiated === undefined;
    try {
      if ((name === "VERSION") !== isFirst) throw new Refusal(EINVAL, "not now");
      const handler = name === undefined ? undefined : handlers[name];
      if (handler === undefined) throw new Refusal(EINVAL, "no such command");
      return await handler(this, request);
    } catch (error) {
      if (!isFirst) throw error;
      const { errno, reason } = error instanceof Refusal ? error : new Refusal(EINVAL, `${error}`);
      throw new Refusal(errno, reason, { ends: true });
    }
  }

  async #end(): Promise<ZcError | undefined> {
    const error = await this.#connection.ended;
    this.#isOver = true;
    this.dma.unmapAll();
    this.interrupts.clearAll();
    if (this.#negotiated === undefined) return error;
    try {
      await this.reset("disconnected");
    } finally {
      await this.device.detached?.();
    }
    return error;
  }

  /** The twin's end is not the client's. */
  #openTwin(socket: Socket): Connection {
    return new Connection(socket, {
      onRequest: () => {
        throw new Refusal(EINVAL, "requests go over the other socket");
      },
      maxDataXferSize: dataSizeMax,
      fdsMax,
    });
  }

  #dmaMessages(): DmaMessages {
    if (this.#messages === undefined) throw new Refusal(EINVAL, "no client yet");
    return this.#messages;
  }

  /** C answers for regions of memory, but not while their contents may not change. */
  #serveMemory(state: DeviceState): void {
    if (this.#isOver) return;
    const isOpen = state !== "STOP_COPY";
    for (const [index, region] of Object.entries(this.device.regions)) {
      if (!("memory" in region) || regionSize(region) === 0) continue;
      this.#connection.link.serve({
        index: Number(index),
        memory: region.memory,
        dirty: region.dirty,
        readable: isOpen && isReadable(region),
        writable: isOpen && isWritable(region) && region.write === undefined,
        countMax: dataSizeMax,
      });
    }
  }

  #bus(): Bus {
    const assertAttached = () => {
      if (this.#isOver) throw new Refusal(ENOTCONN, "the client is gone");
    };
    return {
      read: async (address, size, options) => {
        assertAttached();
        return this.dma.read(address, size, options);
      },
      write: async (address, bytes, options) => {
        assertAttached();
        await this.dma.write(address, bytes, options);
      },
      maps: () => this.dma.list(),
      trigger: (index, subindex = 0) => this.interrupts.trigger(index, subindex),
    };
  }
}

function countRegions({ isPci, regions }: VirtualDevice): number {
  const indexes = Object.keys(regions).map(Number);
  return Math.max(isPci ? pciRegionCount : 0, ...indexes.map((index) => index + 1));
}
