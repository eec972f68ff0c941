/** A vfio-user server's device, for whoever saves, resumes and migrates devices. */
import { ZcError } from "../errors.ts";
import { eitherSignal } from "../run-job.ts";
import type { MoveEnd } from "../transfer/move.ts";
import {
  type AddressRange,
  type DataMoved,
  type DataOptions,
  type DeviceFacts,
  dataTimeoutMsDefault,
  type MigratableDevice,
  type MigrationData,
  type MigrationFeatures,
} from "../vfio/device.ts";
import { dirtyRanges } from "../vfio/dirty-bitmap.ts";
import { featureFlags, features as featureNumbers } from "../vfio/feature.ts";
import { resumeError } from "../vfio/refused.ts";
import { type DeviceState, featuresOf, isPrecopy, opensData, pathBetween } from "../vfio/states.ts";
import { parseServer } from "./address.ts";
import type { CallOptions } from "./client/calls.ts";
import { type Client, connectClient } from "./client.ts";
import { deviceFlags } from "./protocol/device-info.ts";

export interface UserDeviceOptions {
  /** Give up when the device has owed data, or taken none of what there was, for so long. */
  readonly dataTimeoutMs?: number | undefined;
  /** For a change of its state, and a reset. */
  readonly stateTimeoutMs?: number | undefined;
  /** Once it has aborted, what is asked for on the way back is hardly waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** A device walks its whole path before it replies, and may have much to bring to rest. */
export const stateTimeoutMsDefault = 60_000;
/** For each reply, from when an end was asked for. */
const patienceMs = 1000;

/** What the user calls it, and "/run/device.sock" or its address. Throws USAGE, and what connectClient does. */
export async function openUserDevice(
  name: string,
  server: string,
  options: UserDeviceOptions = {},
): Promise<UserDevice> {
  const { signal } = options;
  return new UserDevice(name, await connectClient(parseServer(server), { signal }), options);
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
    return this.#patiently((options) => this.client.migration.state(options), { signal });
  }

  /** vfio-user has no descriptor of the data: an arc that would open one begins a session all the same. */
  async setState(state: DeviceState, signal?: AbortSignal): Promise<MigrationData | undefined> {
    const before = await this.state(signal);
    const path = pathBetween(before, state, await this.features(signal)) ?? [];
    await this.#patiently((options) => this.client.migration.setState(state, options), {
      ...{ signal, timeoutMs: this.#stateTimeoutMs },
    });
    const isOpened = path.some((to, index) => opensData(path[index - 1] ?? before, to));
    return isOpened ? new UserData(this, this.#options) : undefined;
  }

  /** There is no such feature in vfio-user. */
  async stopCopySize(): Promise<undefined> {
    return undefined;
  }

  reset(signal?: AbortSignal): Promise<void> {
    return this.#patiently((options) => this.client.reset(options), {
      ...{ signal, timeoutMs: this.#stateTimeoutMs },
    });
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

  get #stateTimeoutMs(): number {
    return this.#options.stateTimeoutMs ?? stateTimeoutMsDefault;
  }

  /** A request whose reply is not waited for much longer once an end is asked for. */
  async #patiently<T>(
    request: (options: CallOptions) => Promise<T>,
    { signal, timeoutMs }: CallOptions,
  ): Promise<T> {
    using patience = new Patience(this.name, this.#options.signal);
    return await request({ timeoutMs, signal: eitherSignal(patience.signal, signal) });
  }
}

/** Its signal aborts `patienceMs` after the other has, or after its begin. */
class Patience implements Disposable {
  readonly #late = new AbortController();
  readonly #name: string;
  readonly #end: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(name: string, end: AbortSignal | undefined) {
    this.#name = name;
    this.#end = end;
    if (end?.aborted) this.#start();
    end?.addEventListener("abort", this.#start, { once: true });
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#end?.removeEventListener("abort", this.#start);
  }

  readonly #start = () => {
    const reason = `no reply within ${patienceMs} ms, and an end is asked for`;
    const error = new ZcError({ code: "TIMEOUT", subject: this.#name, reason });
    this.#timer = setTimeout(() => this.#late.abort(error), patienceMs);
  };
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
    const idleMs = this.#idleMs;
    const { bytes, end } = await client.migration.read(sink, { ...options, idleMs });
    if (end === "limit") return { bytes, end };
    const isPaused = isPrecopy(await this.#device.state(options.signal));
    return { bytes, end: isPaused ? "paused" : "end" };
  }

  async moveFrom(source: MoveEnd, options: DataOptions = {}): Promise<DataMoved> {
    const idleMs = this.#idleMs;
    try {
      return await this.#device.client.migration.write(source, { ...options, idleMs });
    } catch (error) {
      throw resumeError(this.#device.name, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  get #idleMs(): number {
    return this.#options.dataTimeoutMs ?? dataTimeoutMsDefault;
  }
}
