/** A vfio-user server's device, for whoever saves, resumes and migrates devices. */

import type { MoveEnd } from "../transfer/move.ts";
import type {
  AddressRange,
  DataMoved,
  DataOptions,
  DeviceFacts,
  MigratableDevice,
  MigrationData,
  MigrationFeatures,
} from "../vfio/device.ts";
import { dirtyRanges } from "../vfio/dirty-bitmap.ts";
import { featureFlags, features as featureNumbers } from "../vfio/feature.ts";
import { resumeError } from "../vfio/refused.ts";
import { type DeviceState, featuresOf, isPrecopy, opensData, pathBetween } from "../vfio/states.ts";
import { parseServer } from "./address.ts";
import { type Client, connectClient } from "./client.ts";
import { deviceFlags } from "./protocol/device-info.ts";

export interface UserDeviceOptions {
  /** Give up when the device has neither given nor taken data for so long; undefined: never. */
  readonly dataTimeoutMs?: number | undefined;
}

/** A device walks its whole path before it replies, and may have much to bring to rest. */
const stateTimeoutMs = 60_000;

/** What the user calls it, and "/run/device.sock" or its address. Throws USAGE, and what connectClient does. */
export async function openUserDevice(
  name: string,
  server: string,
  signal?: AbortSignal,
): Promise<UserDevice> {
  return new UserDevice(name, await connectClient(parseServer(server), { signal }));
}

export class UserDevice implements MigratableDevice {
  readonly name: string;
  readonly client: Client;
  readonly #options: UserDeviceOptions;
  #features: MigrationFeatures | undefined;

  /** Takes over the client. */
  constructor(name: string, client: Client, options: UserDeviceOptions = {}) {
    this.name = name;
    this.client = client;
    this.#options = options;
  }

  async facts(signal?: AbortSignal): Promise<DeviceFacts> {
    const { flags, num_regions, num_irqs } = await this.client.info({ signal });
    const { DMA_LOGGING_START } = featureNumbers;
    const { migration } = this.client;
    return {
      driver: undefined,
      isPci: (flags & deviceFlags.PCI) !== 0,
      canReset: (flags & deviceFlags.RESET) !== 0,
      regions: num_regions,
      irqs: num_irqs,
      hasDmaLogging: await migration.has(DMA_LOGGING_START, featureFlags.SET, { signal }),
    };
  }

  /** Asked for once: they do not change. */
  async features(signal?: AbortSignal): Promise<MigrationFeatures> {
    this.#features ??= featuresOf(await this.client.migration.flags({ signal }));
    return this.#features;
  }

  state(signal?: AbortSignal): Promise<DeviceState> {
    return this.client.migration.state({ signal });
  }

  /** vfio-user has no descriptor of the data: an arc that would open one begins a session all the same. */
  async setState(state: DeviceState): Promise<MigrationData | undefined> {
    const before = await this.state();
    const path = pathBetween(before, state, await this.features()) ?? [];
    await this.client.migration.setState(state, { timeoutMs: stateTimeoutMs });
    const isOpened = path.some((to, index) => opensData(path[index - 1] ?? before, to));
    return isOpened ? new UserData(this, this.#options) : undefined;
  }

  /** There is no such feature in vfio-user. */
  async stopCopySize(): Promise<undefined> {
    return undefined;
  }

  reset(): Promise<void> {
    return this.client.reset({ timeoutMs: stateTimeoutMs });
  }

  startDmaLogging(ranges: readonly AddressRange[], pageSize: number): Promise<void> {
    return this.client.migration.startDmaLogging(ranges, pageSize);
  }

  async takeDmaLog(range: AddressRange, pageSize: number): Promise<readonly AddressRange[]> {
    const { bitmap } = await this.client.migration.takeDmaLog(range, pageSize);
    return dirtyRanges(bitmap, range, pageSize);
  }

  stopDmaLogging(): Promise<void> {
    return this.client.migration.stopDmaLogging();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]();
  }
}

/** A state is all that a session is there: nothing has to be closed. */
class UserData implements MigrationData {
  readonly #device: UserDevice;
  readonly #options: UserDeviceOptions;

  constructor(device: UserDevice, options: UserDeviceOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** There is no such request in vfio-user. */
  async precopyInfo(): Promise<undefined> {
    return undefined;
  }

  /** Less than was asked for is the end, and in PRE_COPY all that there is for now. */
  async moveTo(sink: MoveEnd, options: DataOptions = {}): Promise<DataMoved> {
    const { client } = this.#device;
    const idleMs = this.#options.dataTimeoutMs;
    const { bytes, end } = await client.migration.read(sink, { ...options, idleMs });
    if (end === "limit") return { bytes, end };
    const isPaused = isPrecopy(await this.#device.state(options.signal));
    return { bytes, end: isPaused ? "paused" : "end" };
  }

  async moveFrom(source: MoveEnd, options: DataOptions = {}): Promise<DataMoved> {
    const idleMs = this.#options.dataTimeoutMs;
    try {
      return await this.#device.client.migration.write(source, { ...options, idleMs });
    } catch (error) {
      throw resumeError(this.#device.name, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
