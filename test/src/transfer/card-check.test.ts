import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import {
  type CardFacts,
  checkAddress,
  checkCard,
  flowOf,
} from "../../../src/transfer/card-check.ts";

const untold: CardFacts = {
  name: "eth0",
  queue: 3,
  queues: undefined,
  split: undefined,
  splitThreshold: undefined,
  steering: undefined,
  rules: undefined,
  spread: undefined,
};
const asItShouldBe: CardFacts = {
  name: "eth0",
  queue: 3,
  queues: 4,
  split: "on",
  splitThreshold: 0,
  steering: "on",
  rules: 1,
  spread: [0, 1, 2],
};
const flow = "tcp4 dst-port 5000";

function mends(facts: Partial<CardFacts>): (string | undefined)[] {
  return checkCard({ ...asItShouldBe, ...facts }, flow).map(({ mend }) => mend);
}

test.each([
  ["what is as it should be", asItShouldBe],
  ["what nobody tells", untold],
  ["an only queue", { ...asItShouldBe, queues: 1, queue: 0, spread: [0], rules: 0 }],
])("nothing is found in %s", (_, facts) => {
  expect(checkCard(facts, flow)).toEqual([]);
});

test.each<[string, Partial<CardFacts>, (string | undefined)[]]>([
  ["no split", { split: "off" }, ["ethtool -G eth0 tcp-data-split on"]],
  ["a threshold", { splitThreshold: 256 }, ["ethtool -G eth0 hds-thresh 0"]],
  ["no rule", { rules: 0 }, ["ethtool -N eth0 flow-type tcp4 dst-port 5000 action 3"]],
  [
    "no steering",
    { steering: "off", rules: 0 },
    ["ethtool -K eth0 ntuple on && ethtool -N eth0 flow-type tcp4 dst-port 5000 action 3"],
  ],
  [
    "no steering, and rules are not told",
    { steering: "off", rules: undefined },
    ["ethtool -K eth0 ntuple on && ethtool -N eth0 flow-type tcp4 dst-port 5000 action 3"],
  ],
  ["a card that cannot steer", { steering: "never", rules: undefined }, [undefined]],
  ["rules without the feature", { steering: "never", rules: 2 }, []],
  ["a spread over all", { spread: [0, 1, 2, 3] }, ["ethtool -X eth0 equal 3"]],
  ["the first queue", { queue: 0 }, ["ethtool -X eth0 start 1 equal 3"]],
  ["an early queue", { queue: 1, queues: 8 }, ["ethtool -X eth0 start 2 equal 6"]],
  ["a late queue", { queue: 2, queues: 4 }, ["ethtool -X eth0 equal 2"]],
])("%s has the command that mends it", (_, facts, expected) => {
  expect(mends(facts)).toEqual(expected);
});

test("the commands leave nothing to find, and the queue out of the spread", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(63), (queues, any) => {
      const queue = any % queues;
      const all = Array.from({ length: queues }, (_, number) => number);
      const [mend = ""] = mends({ queue, queues, spread: all });
      const [, start = "0", count = "0"] = /-X eth0 (?:start (\d+) )?equal (\d+)$/.exec(mend) ?? [];
      const spread = all.slice(Number(start), Number(start) + Number(count));
      expect(spread).toHaveLength(Number(count));
      expect(spread.length).toBeGreaterThan(0);
      expect(mends({ queue, queues, spread })).toEqual([]);
    }),
  );
});

test("whatever is told: each finding names the interface, and its command is ethtool's", () => {
  const facts = fc.record({
    name: fc.constant("eth0"),
    queue: fc.nat(8),
    queues: told(fc.integer({ min: 1, max: 9 })),
    split: told(fc.constantFrom("on" as const, "off" as const)),
    splitThreshold: told(fc.nat(512)),
    steering: told(fc.constantFrom("on" as const, "off" as const, "never" as const)),
    rules: told(fc.nat(2)),
    spread: told(fc.uniqueArray(fc.nat(8))),
  });
  fc.assert(
    fc.property(facts, (some) => {
      for (const { detail, mend } of checkCard(some, flow)) {
        expect(detail).toMatch(/^eth0 /);
        expect(mend ?? "ethtool -").toMatch(/^ethtool -/);
      }
    }),
  );
});

describe("no card brings anything to", () => {
  test.each([
    [":5000", "listen", "127.0.0.1 is reached", "zc recv '*:5000'"],
    ["localhost:5000", "listen", "localhost is reached", "zc recv '*:5000'"],
    ["127.9.9.9:0", "listen", "127.9.9.9 is reached", "zc recv '*:0'"],
    ["[::1]:5000", "listen", "::1 is reached", "zc recv '[::]:5000'"],
    ["[0:0::1]:5000", "listen", "0:0::1 is reached", "zc recv '[::]:5000'"],
    ["[::ffff:127.0.0.1]:5000", "listen", "::ffff:127.0.0.1 is reached", "zc recv '[::]:5000'"],
    ["127.0.0.1:5000", "connect", "127.0.0.1 is reached", undefined],
  ] as const)("%s, %s", (address, role, detail, mend) => {
    const [finding] = checkAddress(parseAddress(address), role);
    expect(finding?.detail).toMatch(detail);
    expect(finding?.mend).toBe(mend);
  });
});

test.each(["*:5000", "10.127.0.1:5000", "[::]:5000", "[fe80::1%eth0]:5000", "host:5000", "fd:3"])(
  "a card may bring something to %s",
  (address) => {
    expect(checkAddress(parseAddress(address), "listen")).toEqual([]);
  },
);

describe("the flow of", () => {
  test.each([
    ["*:5000", "listen", "tcp4 dst-port 5000"],
    ["[2001:db8::1]:5000", "listen", "tcp6 dst-port 5000"],
    ["[fe80::1%eth0]:5000", "listen", "tcp6 dst-port 5000"],
    ["host:5000", "connect", "tcp4 src-port 5000"],
    ["*:0", "listen", "tcp4 dst-port PORT"],
    ["fd:3", "listen", "tcp4 dst-port PORT"],
  ] as const)("%s, %s", (address, role, expected) => {
    expect(flowOf(parseAddress(address), role)).toBe(expected);
  });
});

function told<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined });
}
