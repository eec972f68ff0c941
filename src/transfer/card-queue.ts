/** A network card's receive queue, which zcrx takes over. */
import { library } from "../../ffi/library.ts";
import { usageError } from "../errors.ts";
import { interfaceNames, readReceiveQueues } from "../netlink/interfaces.ts";
import { askGeneric, ifTold } from "../netlink/told.ts";

export interface CardQueue {
  /** Index, netdevice(7). */
  readonly interface: number;
  readonly queue: number;
}

/** Of an interface by its name. Throws USAGE where there is no such interface or queue. */
export function cardQueue(name: string, queue: number): CardQueue {
  const index = library().zc_card_index(new TextEncoder().encode(`${name}\0`));
  if (index < 0) throw usageError("--if", `there is no interface "${name}"`, thereIs());
  const queues = askGeneric((netlink) => readReceiveQueues(netlink, index));
  if (queues !== undefined && queue >= queues)
    throw usageError("--rxq", `${name} has no receive queue ${queue}`, queuesHint(name, queues));
  return { interface: index, queue };
}

/** A machine with thousands of them is not listed whole. */
const namesMax = 20;

function thereIs(): string {
  const names = ifTold(interfaceNames);
  if (names === undefined) return "ip link shows those there are";
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : "";
  return `there are ${names.slice(0, namesMax).join(", ")}${more}`;
}

function queuesHint(name: string, queues: number): string {
  const those = queues === 1 ? "0 is the only one" : `it has 0 to ${queues - 1}`;
  return `${those}; ethtool -L ${name} makes more, where the card can`;
}
