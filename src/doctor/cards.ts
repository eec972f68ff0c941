/** Which network interfaces could lend a queue to zcrx, as far as their drivers tell. */
import { printable } from "../errors.ts";
import { type Rings, readAllRings } from "../netlink/ethtool.ts";
import { askGeneric } from "../netlink/told.ts";
import { checkSplit } from "../transfer/card-check.ts";
import type { Finding, Probe } from "./finding.ts";

export const cardProbe: Probe = {
  feature: "zcrx card",
  run: async () => judgeCards(askGeneric(readAllRings)),
};

/** By name. Only the header/data split is looked at: the rest is of one queue, and `zc recv` tells. */
export function judgeCards(
  rings: ReadonlyMap<string, Rings> | undefined,
): Omit<Finding, "feature"> {
  if (rings === undefined)
    return { verdict: "missing", detail: "ethtool's netlink cannot be asked" };
  const able = [...rings]
    .filter(([, { split }]) => split !== undefined)
    .map(([name, { split, threshold }]) => ({
      name,
      findings: checkSplit({ name, split, splitThreshold: threshold }),
    }));
  const ready = able.filter(({ findings }) => findings.length === 0);
  if (ready.length > 0)
    return {
      verdict: "works",
      detail: `split headers from data: ${namesOf(ready)}; zc recv --mode zcrx --if NAME --rxq N tells the rest`,
    };
  if (able.length === 0)
    return {
      verdict: "missing",
      detail: "no interface's driver tells that it can split headers from data",
    };
  const mend = able[0]?.findings[0]?.mend;
  return {
    verdict: "missing",
    detail: `could split headers from data, and do not: ${namesOf(able)}`,
    ...(mend !== undefined && { mend: printable(mend) }),
  };
}

function namesOf(cards: readonly { readonly name: string }[]): string {
  return cards.map(({ name }) => name).join(", ");
}
