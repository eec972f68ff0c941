/** A device's interrupts, as eventfds that it signals. */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../../ffi/library.ts";
import { ZcError } from "../../errors.ts";
import { pollIn, ready } from "../../run-job.ts";
import {
  decodeIrqInfo,
  encodeIrqInfo,
  encodeIrqSet,
  type IrqInfo,
  type IrqSet,
} from "../protocol/irq.ts";
import { assertSame, type CallOptions, type Calls } from "./calls.ts";

const { EAGAIN } = constants.errno;

/** Disposing closes it; the device keeps its own until `release`. */
export class Interrupt implements Disposable {
  /** Of the kind of interrupt, and in it. */
  readonly index: number;
  readonly subindex: number;
  readonly fd: number;

  constructor(index: number, subindex: number) {
    this.index = index;
    this.subindex = subindex;
    this.fd = library().zc_event_open();
    if (this.fd < 0)
      throw new ZcError({ code: "UNSUPPORTED", operation: "open an eventfd", errno: -this.fd });
  }

  /** How often it came since the last time, at least once; undefined: the time is over. */
  async wait(options: CallOptions = {}): Promise<bigint | undefined> {
    const count = new BigUint64Array(1);
    while (await ready(this.fd, pollIn, options)) {
      const result = library().zc_event_take(this.fd, count);
      if (result === 0) return count[0];
      if (result !== -EAGAIN)
        throw new ZcError({ code: "DEVICE", operation: "read an interrupt", errno: -result });
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

export class Interrupts {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Throws DEVICE, PROTOCOL. */
  async info(index: number, options: CallOptions = {}): Promise<IrqInfo> {
    const request = encodeIrqInfo({ flags: 0, index, count: 0 });
    const info = decodeIrqInfo(await this.#calls.call("DEVICE_GET_IRQ_INFO", request, options));
    assertSame("interrupt", index, info.index);
    return info;
  }

  /** One request as it is; the descriptors are borrowed. Throws DEVICE. */
  async set(set: IrqSet, fds: readonly number[] = [], options: CallOptions = {}): Promise<void> {
    await this.#calls.call("DEVICE_SET_IRQS", encodeIrqSet(set), { ...options, fds });
  }

  /**
   * The device signals these eventfds from now on, one for each interrupt from `start` on; in several
   * requests where it takes fewer in one. Borrowed. Throws DEVICE, UNSUPPORTED.
   */
  async attach(
    index: number,
    start: number,
    fds: readonly number[],
    options: CallOptions = {},
  ): Promise<void> {
    const { maxMsgFds } = this.#calls.limits;
    if (maxMsgFds === 0) throw takesNoFds();
    for (let at = 0; at < fds.length; at += maxMsgFds) {
      const some = fds.slice(at, at + maxMsgFds);
      const where = { index, start: start + at, count: some.length };
      await this.set({ data: "eventfd", action: "trigger", ...where }, some, options);
    }
  }

  /** Interrupts to wait for, which the caller owns. */
  async listen(
    index: number,
    start: number,
    count: number,
    options: CallOptions = {},
  ): Promise<Interrupt[]> {
    const interrupts: Interrupt[] = [];
    try {
      for (let each = 0; each < count; each++) interrupts.push(new Interrupt(index, start + each));
      const fds = interrupts.map(({ fd }) => fd);
      await this.attach(index, start, fds, options);
      return interrupts;
    } catch (error) {
      for (const interrupt of interrupts) interrupt[Symbol.dispose]();
      throw error;
    }
  }

  /** The device lets go of all eventfds of this kind. */
  async release(index: number, options: CallOptions = {}): Promise<void> {
    await this.set({ data: "none", action: "trigger", index, start: 0, count: 0 }, [], options);
  }
}

function takesNoFds(): ZcError {
  const reason = "the device takes no descriptors (max_msg_fds is 0)";
  return new ZcError({ code: "UNSUPPORTED", operation: "attach interrupts", reason });
}
