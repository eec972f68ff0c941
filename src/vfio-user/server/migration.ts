/** Where a device is in VFIO's migration protocol, and what it does on the way. */
import { constants } from "node:os";
import { type DeviceState, isPrecopy, pathBetween } from "../../vfio/states.ts";
import { Refusal } from "../refusal.ts";
import type { DeviceMigration } from "./device.ts";

const { EINVAL } = constants.errno;

export class Migration {
  #state: DeviceState = "RUNNING";
  readonly #device: DeviceMigration;
  readonly #onState: (state: DeviceState) => void;

  constructor(device: DeviceMigration, onState: (state: DeviceState) => void) {
    this.#device = device;
    this.#onState = onState;
  }

  get state(): DeviceState {
    return this.#state;
  }

  get features(): DeviceMigration["features"] {
    return this.#device.features;
  }

  /** All of the path; after an error the device rests where it was when it refused. Throws Refusal. */
  async setState(to: DeviceState): Promise<void> {
    const path = pathBetween(this.#state, to, this.#device.features);
    if (path === undefined) throw new Refusal(EINVAL, `no way from ${this.#state} to ${to}`);
    for (const next of path) {
      await this.#device.setState(next, this.#state);
      this.#enter(next);
    }
  }

  /** Borrowed until they are sent. Throws Refusal. */
  async read(size: number): Promise<Uint8Array> {
    if (!isPrecopy(this.#state) && this.#state !== "STOP_COPY")
      throw new Refusal(EINVAL, `no data in ${this.#state}`);
    return this.#device.read(size);
  }

  /** Throws Refusal. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== "RESUMING") throw new Refusal(EINVAL, `no data in ${this.#state}`);
    await this.#device.write(bytes);
  }

  /** After a reset of the device: linux/vfio.h has it RUNNING. libvfio-user has it where it was. */
  reset(): void {
    this.#enter("RUNNING");
  }

  #enter(state: DeviceState): void {
    this.#state = state;
    this.#onState(state);
  }
}
