/** How a network card is set up, as far as the kernel and its driver tell. */
import { library } from "../../ffi/library.ts";
import { readFeature, readRings, readSpread } from "../netlink/ethtool.ts";
import { readReceiveQueues } from "../netlink/interfaces.ts";
import { askGeneric } from "../netlink/told.ts";
import type { CardFacts } from "./card-check.ts";
import type { CardQueue } from "./card-queue.ts";

const steeringFeature = "rx-ntuple-filter";

export function readCardFacts(name: string, { interface: index, queue }: CardQueue): CardFacts {
  const rings = askGeneric((netlink) => readRings(netlink, index));
  const rules = library().zc_card_rules(new TextEncoder().encode(`${name}\0`), queue);
  return {
    name,
    queue,
    queues: askGeneric((netlink) => readReceiveQueues(netlink, index)),
    split: rings?.split,
    splitThreshold: rings?.threshold,
    steering: askGeneric((netlink) => readFeature(netlink, index, steeringFeature)),
    rules: rules < 0 ? undefined : rules,
    spread: askGeneric((netlink) => readSpread(netlink, index)),
  };
}
