/** A network card's receive queue, which zcrx takes over. */
import { readFileSync } from "node:fs";
import { usageError } from "../errors.ts";

export interface CardQueue {
  /** Index, netdevice(7). */
  readonly interface: number;
  readonly queue: number;
}

/** Of an interface by its name. Throws USAGE where there is none. */
export function cardQueue(name: string, queue: number): CardQueue {
  return { interface: indexOf(name), queue };
}

/** A name is no path: those of interfaces have neither slash nor dots alone. */
function indexOf(name: string): number {
  try {
    if (!/^(?!\.{1,2}$)[^/\s]{1,15}$/.test(name)) throw new Error("no name of an interface");
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
  } catch {
    throw usageError("--if", `there is no interface "${name}"`, "ip link shows those there are");
  }
}
