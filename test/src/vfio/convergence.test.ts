import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Convergence, type Sample, type Verdict } from "../../../src/vfio/convergence.ts";

const rate = 1e9;
const limits = { downtimeMs: 300 };
/** What takes 300 ms. */
const small = 300e6;

function sample(
  atMs: number,
  bytes: number,
  dirtyBytes: number,
  rest: Partial<Sample> = {},
): Sample {
  return { atMs, bytes, rate, left: { initialBytes: 0, dirtyBytes }, isPaused: false, ...rest };
}

function verdicts(samples: readonly Sample[], deadlineMs?: number): Verdict[] {
  const convergence = new Convergence({ ...limits, deadlineMs });
  return samples.map((each) => convergence.take(each));
}

describe("a device in PRE_COPY", () => {
  test("has converged when the rest takes no longer than it may", () => {
    expect(verdicts([sample(1, 1e6, small + 1), sample(2, 2e6, small)])).toEqual([
      "go on",
      "converged",
    ]);
  });

  test("has not while initial bytes are left, however few", () => {
    const left = { initialBytes: 1, dirtyBytes: 0 };
    expect(verdicts([sample(1, 1e6, 0, { left }), sample(2, 2e6, 0)])).toEqual([
      "go on",
      "converged",
    ]);
  });

  test("has, where the rate is unknown, when there is little left", () => {
    const unmeasured = { rate: undefined };
    expect(
      verdicts([sample(1, 24, 65_537, unmeasured), sample(2, 48, 65_536, unmeasured)]),
    ).toEqual(["go on", "converged"]);
  });

  test("is stopped at the deadline, whatever is left", () => {
    const left = { initialBytes: 5, dirtyBytes: 1e12 };
    const all = [99, 100].map((atMs) => sample(atMs, atMs * 1e6, 0, { left }));
    expect(verdicts(all, 100)).toEqual(["go on", "deadline"]);
  });

  test("is stalled after three rounds that leave as much as there was", () => {
    const dirty = 400e6;
    const rounds = [0, 1, 2, 3].map((round) => sample(round, round * dirty, dirty));
    expect(verdicts(rounds)).toEqual(["go on", "go on", "go on", "stalled"]);
  });

  test("a round is not over before as much has moved as was left", () => {
    const dirty = 400e6;
    const parts = Array.from({ length: 12 }, (_, part) => sample(part, (part * dirty) / 4, dirty));
    expect(verdicts(parts)).toEqual(new Array(12).fill("go on"));
  });

  test("a round that leaves less begins the count anew", () => {
    const dirty = [5e8, 5e8, 5e8, 4e8, 4e8, 4e8, 4e8];
    const rounds = dirty.map((left, round) => sample(round, round * 1e9, left));
    expect(verdicts(rounds)).toEqual([...new Array(6).fill("go on"), "stalled"]);
  });

  test("that owes initial bytes has ten seconds for each of them", () => {
    const left = { initialBytes: 7, dirtyBytes: 0 };
    const at = (atMs: number, bytes: number) => sample(atMs, bytes, 0, { left, isPaused: true });
    expect(verdicts([at(1, 1), at(9000, 1), at(9500, 2), at(19_499, 2), at(19_500, 2)])).toEqual([
      ...["go on", "go on", "go on", "go on"],
      "stalled",
    ]);
  });
});

/** Pauses after each of these many bytes. */
function untoldRounds(given: readonly number[], rest: Partial<Sample> = {}): Sample[] {
  let bytes = 0;
  return given.map((each, round) => {
    bytes += each;
    return sample(round, bytes, 0, { left: undefined, isPaused: true, ...rest });
  });
}

describe("a device in PRE_COPY that does not tell what is left", () => {
  test("has converged when a round took no longer than the rest may", () => {
    expect(verdicts(untoldRounds([9e9, small + 1, small]))).toEqual([
      "go on",
      "go on",
      "converged",
    ]);
  });

  test("has when it has nothing, and where the rate is unknown, little", () => {
    expect(verdicts(untoldRounds([0]))).toEqual(["converged"]);
    const unmeasured = { rate: undefined };
    expect(verdicts(untoldRounds([65_537, 65_536], unmeasured))).toEqual(["go on", "converged"]);
  });

  test("is stalled after three rounds none of which is less than all before", () => {
    const rounds = untoldRounds([8e8, 5e8, 4e8, 6e8, 5e8, 3.9e8, 4e8, 5e8, 3.9e8]);
    expect(verdicts(rounds)).toEqual([...new Array(8).fill("go on"), "stalled"]);
  });

  test("is stopped at the deadline, and not before", () => {
    const at = (atMs: number) => sample(atMs, atMs * 1e6, 0, { left: undefined });
    const late = [at(10_000), at(99_999), at(100_000)];
    expect(verdicts(late, 100_000)).toEqual(["go on", "go on", "deadline"]);
  });

  test("and never pauses has a minute a round, where there is no deadline", () => {
    const left = undefined;
    const at = (atMs: number, isPaused = false) => sample(atMs, atMs * 1e6, 0, { left, isPaused });
    const all = [at(59_999), at(59_999.5, true), at(119_999), at(119_999.5)];
    expect(verdicts(all)).toEqual(["go on", "go on", "go on", "untold"]);
  });
});

test("whatever a device says, it is not gone on with for ever while time passes", () => {
  const step = fc.record({
    bytes: fc.nat(1e9),
    initialBytes: fc.nat(10),
    isPaused: fc.boolean(),
    isTold: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.infiniteStream(step),
      fc.integer({ min: 1, max: 60_000 }),
      (steps, deadlineMs) => {
        const convergence = new Convergence({ ...limits, deadlineMs });
        let bytes = 0;
        for (let atMs = 0; ; atMs += 500) {
          const next = steps.next().value;
          bytes += next.bytes;
          const told = { initialBytes: next.initialBytes, dirtyBytes: 1e12 };
          const left = next.isTold ? told : undefined;
          const { isPaused } = next;
          if (convergence.take({ atMs, bytes, rate, left, isPaused }) !== "go on") return;
          expect(atMs).toBeLessThan(deadlineMs);
        }
      },
    ),
  );
});
