/** The eventfds through which a client hears of interrupts. */
import { readlinkSync } from "node:fs";
import { constants } from "node:os";
import { library } from "../../../ffi/library.ts";
import { closeAll } from "../connection.ts";
import { Refusal } from "../refusal.ts";
import { pciInterrupts, type VirtualDevice } from "./device.ts";

const { EINVAL } = constants.errno;
const pciIndexes = Object.keys(pciInterrupts).length;

/** Owns the descriptors. */
export class Interrupts {
  /** How many, by index. */
  readonly counts: readonly number[];
  readonly #fds = new Map<string, number>();

  constructor({ isPci, interrupts = {} }: VirtualDevice) {
    const indexes = Object.keys(interrupts).map(Number);
    const least: Record<number, number> = isPci
      ? { [pciInterrupts.error]: 1, [pciInterrupts.request]: 1 }
      : {};
    const length = Math.max(isPci ? pciIndexes : 0, ...indexes.map((index) => index + 1));
    this.counts = Array.from({ length }, (_, index) => interrupts[index] ?? least[index] ?? 0);
  }

  /** Takes them over, unless it throws Refusal: one is no eventfd. */
  set(index: number, start: number, fds: readonly number[]): void {
    if (!fds.every(isEventFd)) throw new Refusal(EINVAL, "a descriptor is no eventfd");
    for (const [at, fd] of fds.entries()) {
      this.clear(index, start + at, 1);
      this.#fds.set(keyOf(index, start + at), fd);
    }
  }

  clear(index: number, start: number, count: number): void {
    for (let subindex = start; subindex < start + count; subindex++) {
      const key = keyOf(index, subindex);
      const fd = this.#fds.get(key);
      if (fd === undefined) continue;
      this.#fds.delete(key);
      closeAll([fd]);
    }
  }

  clearAll(): void {
    closeAll([...this.#fds.values()]);
    this.#fds.clear();
  }

  /** false: nobody listens. Throws Refusal. */
  trigger(index: number, subindex: number): boolean {
    const fd = this.#fds.get(keyOf(index, subindex));
    if (fd === undefined) return false;
    const result = library().zc_event_signal(fd);
    if (result < 0) throw new Refusal(-result, "signal an interrupt");
    return true;
  }
}

function keyOf(index: number, subindex: number): string {
  return `${index}.${subindex}`;
}

function isEventFd(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:[eventfd]";
}
