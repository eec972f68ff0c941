/** Every cell of the kernel's tables, typed in from what vfio_mig_get_next_state computes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type DeviceState,
  deviceStates,
  featuresOf,
  opensData,
  parseDeviceState,
  pathBetween,
  statesOf,
} from "../../../src/vfio/states.ts";
import { attempt, refusal } from "../refusal.ts";

const names = {
  S: "STOP",
  R: "RUNNING",
  SC: "STOP_COPY",
  RS: "RESUMING",
  RP: "RUNNING_P2P",
  PC: "PRE_COPY",
  PP: "PRE_COPY_P2P",
} as const satisfies Record<string, DeviceState>;
const states = Object.values(names);

/** A cell is the path, joined by ">"; "-" is EINVAL, and the state itself no path at all. */
const tables: Record<number, string> = {
  1: `     S    R    SC    RS
      S    S    R    SC    RS
      R    S    R    S>SC  S>RS
      SC   S    S>R  SC    S>RS
      RS   S    S>R  S>SC  RS`,
  3: `     S     R       SC       RS       RP
      S    S     RP>R    SC       RS       RP
      R    RP>S  R       RP>S>SC  RP>S>RS  RP
      SC   S     S>RP>R  SC       S>RS     S>RP
      RS   S     S>RP>R  S>SC     RS       S>RP
      RP   S     R       S>SC     S>RS     RP`,
  5: `     S    R    SC    RS      PC
      S    S    R    SC    RS      R>PC
      R    S    R    S>SC  S>RS    PC
      SC   S    S>R  SC    S>RS    -
      RS   S    S>R  S>SC  RS      S>R>PC
      PC   R>S  R    SC    R>S>RS  PC`,
  7: `     S       R       SC       RS         RP    PC         PP
      S    S       RP>R    SC       RS         RP    RP>R>PC    RP>PP
      R    RP>S    R       RP>S>SC  RP>S>RS    RP    PC         RP>PP
      SC   S       S>RP>R  SC       S>RS       S>RP  -          -
      RS   S       S>RP>R  S>SC     RS         S>RP  S>RP>R>PC  S>RP>PP
      RP   S       R       S>SC     S>RS       RP    R>PC       PP
      PC   R>RP>S  R       PP>SC    R>RP>S>RS  R>RP  PC         PP
      PP   RP>S    RP>R    SC       RP>S>RS    RP    PC         PP`,
};

interface Cell {
  readonly flags: number;
  readonly from: DeviceState;
  readonly to: DeviceState;
  readonly path: readonly DeviceState[] | undefined;
}

const cells = Object.entries(tables).flatMap(([flags, text]) => cellsOf(Number(flags), text));

function cellsOf(flags: number, text: string): Cell[] {
  const [head = [], ...rows] = text.split("\n").map((line) => line.trim().split(/\s+/));
  const columns = head.map(stateOf);
  return rows.flatMap(([name = "", ...paths]) =>
    paths.map((path, index) => {
      const from = stateOf(name);
      const to = columns[index] ?? "ERROR";
      const steps = path.split(">").filter((step) => step !== "-" && path !== name);
      return { flags, from, to, path: path === "-" ? undefined : steps.map(stateOf) };
    }),
  );
}

function stateOf(name: string): DeviceState {
  return names[name as keyof typeof names];
}

/** The arcs of linux/vfio.h that a driver has to know, by what it supports. */
const driverArcs: Record<number, readonly string[]> = {
  1: ["R>S", "S>R", "S>SC", "SC>S", "S>RS", "RS>S"],
  3: ["R>RP", "RP>R", "RP>S", "S>RP", "S>SC", "SC>S", "S>RS", "RS>S"],
  5: ["R>S", "S>R", "S>SC", "SC>S", "S>RS", "RS>S", "R>PC", "PC>R", "PC>SC"],
  7: [
    ...["R>RP", "RP>R", "RP>S", "S>RP", "S>SC", "SC>S", "S>RS", "RS>S"],
    ...["R>PC", "PC>R", "PC>PP", "PP>PC", "RP>PP", "PP>RP", "PP>SC"],
  ],
};

const anyFlags = fc.constantFrom(1, 3, 5, 7);
const anyState = fc.constantFrom(...deviceStates);

describe("pathBetween", () => {
  test("has as many cells as there are", () => {
    expect(cells).toHaveLength(16 + 25 + 25 + 49);
  });

  test.each(cells)("$flags: $from to $to", ({ flags, from, to, path }) => {
    expect(pathBetween(from, to, featuresOf(BigInt(flags)))).toEqual(path);
  });

  test("takes only arcs that the driver knows, and ends where it should", () => {
    fc.assert(
      fc.property(anyFlags, anyState, anyState, (flags, from, to) => {
        const path = pathBetween(from, to, featuresOf(BigInt(flags)));
        if (path === undefined) return;
        const known = driverArcs[flags]?.map((arc) => arc.split(">").map(stateOf)) ?? [];
        let at = from;
        for (const next of path) {
          expect(known).toContainEqual([at, next]);
          at = next;
        }
        expect(at).toBe(to);
      }),
    );
  });

  test("neither enters ERROR nor leaves it", () => {
    fc.assert(
      fc.property(anyFlags, anyState, (flags, state) => {
        expect(pathBetween("ERROR", state, featuresOf(BigInt(flags)))).toBeUndefined();
        expect(pathBetween(state, "ERROR", featuresOf(BigInt(flags)))).toBeUndefined();
      }),
    );
  });

  test("refuses states that the device does not know", () => {
    fc.assert(
      fc.property(fc.nat(7), anyState, anyState, (flags, from, to) => {
        const features = featuresOf(BigInt(flags));
        const known: readonly DeviceState[] = statesOf(features);
        if (known.includes(from) && known.includes(to)) return;
        expect(pathBetween(from, to, features)).toBeUndefined();
      }),
    );
  });

  test("opens data in its last step alone", () => {
    const { path = [] } = { path: pathBetween("PRE_COPY", "RESUMING", featuresOf(7n)) };
    expect(path).toHaveLength(4);
    for (const { from, path: steps = [] } of cells) {
      const all = [from, ...steps];
      const opening = steps.map((step, index) => opensData(all[index] ?? "ERROR", step));
      expect(opening.slice(0, -1).filter((what) => what !== undefined)).toEqual([]);
    }
  });
});

test("statesOf", () => {
  expect(statesOf(featuresOf(0n))).toEqual([]);
  expect(statesOf(featuresOf(1n))).toEqual(["STOP", "RUNNING", "STOP_COPY", "RESUMING"]);
  expect([...statesOf(featuresOf(7n))].sort()).toEqual([...states].sort());
});

test("opensData", () => {
  const opening = deviceStates.flatMap((from) =>
    deviceStates.flatMap((to) => {
      const data = opensData(from, to);
      return data === undefined ? [] : [`${data} ${from} ${to}`];
    }),
  );
  expect(opening.sort()).toEqual([
    "read RUNNING PRE_COPY",
    "read RUNNING_P2P PRE_COPY_P2P",
    "read STOP STOP_COPY",
    "write STOP RESUMING",
  ]);
});

describe("parseDeviceState", () => {
  test.each([
    ["STOP_COPY", "STOP_COPY"],
    ["stop-copy", "STOP_COPY"],
    ["running_p2p", "RUNNING_P2P"],
    ["Pre-Copy-P2P", "PRE_COPY_P2P"],
  ])("%s", (text, state) => {
    expect(parseDeviceState(text)).toBe(state);
  });

  test("refuses what nobody can ask for", () => {
    expect(refusal(() => parseDeviceState("error"))).toContain("only a reset leaves it");
    expect(refusal(() => parseDeviceState("STOPPED"))).toContain("a device has no such state");
  });

  test("takes any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const { value } = attempt(() => parseDeviceState(text));
        if (value !== undefined) expect(states).toContain(value);
      }),
    );
  });
});
