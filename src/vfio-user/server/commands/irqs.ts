/** The device's interrupts. libvfio-user: lib/irq.c. */
import { constants } from "node:os";
import type { Reply, Request } from "../../connection.ts";
import {
  decodeIrqInfo,
  decodeIrqSet,
  encodeIrqInfo,
  type IrqSet,
  irqInfoFlags,
} from "../../protocol/irq.ts";
import { Refusal } from "../../refusal.ts";
import { pciInterrupts } from "../device.ts";
import { emptyReply, type Session } from "../session.ts";

const { EINVAL } = constants.errno;

export function getIrqInfo({ interrupts }: Session, { payload }: Request): Reply {
  const { index } = decodeIrqInfo(payload);
  const count = interrupts.counts[index];
  if (count === undefined) throw new Refusal(EINVAL, `no interrupts ${index}`);
  return { payload: encodeIrqInfo({ flags: irqInfoFlags.EVENTFD, index, count }) };
}

export function setIrqs(session: Session, { payload, fds }: Request): Reply {
  const set = decodeIrqSet(payload);
  checkSet(session, set, fds.length);
  const { index, start, count, action, data } = set;
  const { interrupts, device } = session;
  if (action !== "trigger") {
    device.masked?.({ index, start, count, isMasked: action === "mask" });
  } else if (count === 0) {
    interrupts.clear(index, 0, interrupts.counts[index] ?? 0);
  } else if (data === "eventfd") {
    if (fds.length === 0) interrupts.clear(index, start, count);
    else {
      interrupts.set(index, start, fds);
      fds.length = 0; // they are kept
    }
  } else {
    for (let each = 0; each < count; each++)
      if (set.bools === undefined || set.bools[each] !== 0) interrupts.trigger(index, start + each);
  }
  return emptyReply;
}

function checkSet({ device, interrupts }: Session, set: IrqSet, fdCount: number): void {
  const { index, start, count, action, data } = set;
  const all = interrupts.counts[index] ?? 0;
  const { error, request } = pciInterrupts;
  const isEvent = device.isPci && (index === error || index === request);
  const wrong = [
    [start >= all || start + count > all, "interrupts that there are not"],
    [isEvent && (action !== "trigger" || count > 1), "what is only told"],
    [count === 0 && (start !== 0 || action !== "trigger" || data !== "none"), "no interrupts"],
    [fdCount > 0 && data !== "eventfd", "descriptors, and no use for them"],
    [fdCount > 0 && fdCount !== count, "as many descriptors as interrupts are needed"],
  ] as const;
  for (const [isWrong, reason] of wrong) if (isWrong) throw new Refusal(EINVAL, reason);
}
