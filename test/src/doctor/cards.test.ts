import { expect, test } from "vitest";
import { judgeCards } from "../../../src/doctor/cards.ts";
import type { Rings } from "../../../src/netlink/ethtool.ts";

const untold: Rings = { split: undefined, threshold: undefined };
const off: Rings = { split: "off", threshold: 0 };
const high: Rings = { split: "on", threshold: 256 };
const on: Rings = { split: "on", threshold: undefined };

test.each<[string, Record<string, Rings>, string, RegExp, string | undefined]>([
  ["none", {}, "missing", /no interface's driver/, undefined],
  ["none that tells", { eth0: untold }, "missing", /no interface's driver/, undefined],
  [
    "some that do not",
    { eth0: untold, eth1: off, eth2: high },
    "missing",
    /do not: eth1, eth2$/,
    "ethtool -G eth1 tcp-data-split on",
  ],
  [
    "one with a threshold",
    { eth2: high },
    "missing",
    /do not: eth2$/,
    "ethtool -G eth2 hds-thresh 0",
  ],
  ["one that does", { eth1: off, eth2: on }, "works", /data: eth2; zc recv/, undefined],
])("%s", (_, rings, verdict, detail, mend) => {
  const found = judgeCards(new Map(Object.entries(rings)));
  expect(found).toEqual({
    verdict,
    detail: expect.stringMatching(detail),
    ...(mend !== undefined && { mend }),
  });
});

test("nobody to ask", () => {
  expect(judgeCards(undefined)).toMatchObject({
    verdict: "missing",
    detail: expect.stringMatching(/cannot/),
  });
});
