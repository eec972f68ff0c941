/** What figures come to: nothing is said to pay that the rank test does not bear out. */
import { describe, expect, test } from "vitest";
import { toText } from "../../../src/bench/report/text.ts";
import { toVsockText } from "../../../src/bench/report/vsock.ts";
import { fastestOf, rivalsOf, verdictsOf } from "../../../src/bench/verdict.ts";
import { type MadeCell, madeResult } from "./made.ts";

const slow = [1, 1.1, 1.2, 1.3, 1.4];
const fast = [2, 2.1, 2.2, 2.3, 2.4];
const wild = [0.5, 3, 1, 2.5, 1.2];

function cell(mode: MadeCell["mode"] & string, size: number, rates: readonly number[]): MadeCell {
  return { mode, size, rates } as MadeCell;
}

const [small, middle, large] = [16_384, 65_536, 1 << 20] as const;

function modeLine(cells: readonly MadeCell[]): string | undefined {
  return verdictsOf(madeResult(cells)).find((line) => line.startsWith("tcp: msg-zerocopy"));
}

describe("a mode", () => {
  test("pays from the size on from which it is faster", () => {
    const cells = [
      ...[cell("copy", small, slow), cell("copy", middle, slow), cell("copy", large, slow)],
      cell("msg-zerocopy", small, slow),
      { ...cell("msg-zerocopy", middle, fast), cpu: 0.25 },
      cell("msg-zerocopy", large, fast),
    ];
    expect(modeLine(cells)).toMatch(
      /^tcp: msg-zerocopy pays from 64 KiB on: 1.83 × copying 64 KiB, with 0.250 × its CPU time$/,
    );
  });

  test("pays at every size, or at some only", () => {
    const copies = [cell("copy", small, slow), cell("copy", middle, slow)];
    const [gains, loses] = [cell("msg-zerocopy", small, fast), cell("msg-zerocopy", middle, slow)];
    const both = [...copies, gains, cell("msg-zerocopy", middle, fast)];
    expect(modeLine(both)).toMatch(/pays at every size: /);
    expect(modeLine([...copies, gains, loses])).toMatch(/pays at 16 KiB only: /);
  });

  test("never pays where it is slower everywhere, and the kernel's copies are named", () => {
    const cells = [cell("copy", small, fast), { ...cell("msg-zerocopy", small, slow), copied: 1 }];
    expect(modeLine(cells)).toMatch(
      /never pays: at best 0.545 × copying 16 KiB, .*; the kernel copies it after all$/,
    );
  });

  test("is not said to pay, or not to, where noise hides it", () => {
    expect(modeLine([cell("copy", small, slow), cell("msg-zerocopy", small, wild)])).toMatch(
      /does not pay, as far as this machine's noise lets one see: /,
    );
  });

  test("has no line where there are no copies of its sizes", () => {
    expect(
      modeLine([cell("copy", large, slow), cell("msg-zerocopy", small, fast)]),
    ).toBeUndefined();
  });
});

describe("the fastest", () => {
  test("is held against copies of 1 MiB", () => {
    const cells = [cell("copy", large, slow), cell("sendfile", middle, fast)];
    expect(verdictsOf(madeResult(cells)).at(-1)).toBe(
      "tcp: fastest is sendfile 64 KiB, 2.20 GiB/s, 1.83 × copying 1 MiB",
    );
  });

  test("is told together with what is not to be told from it", () => {
    const cells = [cell("copy", large, wild), cell("sendfile", middle, fast)];
    expect(verdictsOf(madeResult(cells)).at(-1)).toMatch(
      /fastest is sendfile .* \(this machine is too noisy to tell it from copy 1 MiB\)$/,
    );
    const { winner, alike } = fastestOf(madeResult(cells).cells);
    expect([winner?.mode, alike.map(({ mode }) => mode)]).toEqual(["sendfile", ["copy"]]);
  });

  test("of cells of which none ran is none", () => {
    expect(verdictsOf(madeResult([cell("copy", large, [])]))).toEqual([]);
  });
});

describe("latency", () => {
  const [quick, long] = [
    [10_000, 11_000, 12_000, 13_000, 14_000],
    [20_000, 21_000, 22_000, 23_000, 24_000],
  ] as const;
  const made = madeResult([
    { ...cell("copy", small, slow), latencies: long },
    { ...cell("sendfile", small, slow), latencies: quick },
    { ...cell("copy", large, slow), latencies: quick },
    { ...cell("sendfile", large, slow), latencies: long },
  ]);

  test("less of it is better, and CPU time says nothing", () => {
    expect(verdictsOf(made)).toEqual([
      "tcp: sendfile pays at 16 KiB only: 0.545 × the median latency of copying 16 KiB",
    ]);
  });

  test("only cells of a size compete", () => {
    const [copy, sendfile] = made.cells;
    if (copy === undefined || sendfile === undefined) throw new Error("no cells");
    expect(rivalsOf(copy, made.cells)).toEqual([copy, sendfile]);
    expect(fastestOf(rivalsOf(copy, made.cells)).winner).toBe(sendfile);
  });

  test("is shown as percentiles, with what was not answered", () => {
    const text = toText(made, [], { paint: (_, text) => text, width: 120 });
    expect(text).toMatch(
      / \* +sendfile +16 KiB +12.0 µs +10.0 µs +14.0 µs +24.0 µs +36.0 µs .* 5 /,
    );
    expect(text).toMatch(/\* least of its size/);
    expect(text).not.toMatch(/CPU/);
  });
});

test("sends that went in pieces, for lack of memory, are named", () => {
  const [small64] = madeResult([cell("msg-zerocopy", middle, slow)]).cells;
  const [run] = small64?.runs ?? [];
  if (small64 === undefined || run === undefined) throw new Error("no run");
  const zerocopy = { ...run.zerocopy, retries: 7 };
  const runs = [{ ...run, zerocopy, bytes: 100 * 16_384 }];
  const result = { ...madeResult([]), cells: [{ ...small64, runs }] };
  expect(verdictsOf(result).join("\n")).toMatch(
    /^tcp: msg-zerocopy 64 KiB went in pieces of 16.0 KiB: locked or option memory/m,
  );
});

test("few rounds say nothing of the machine's noise", () => {
  const cells = [cell("copy", large, [1, 3]), cell("sendfile", large, [2, 4])];
  const text = verdictsOf(madeResult(cells)).join("\n");
  expect(text).toMatch(/sendfile is not known to pay/);
  expect(text).toMatch(/not to be told from copy 1 MiB/);
  expect(text).not.toMatch(/nois/);
});

test("an interrupted result says so", () => {
  const result = { ...madeResult([cell("copy", large, slow)]), isComplete: false };
  const options = { paint: (_: unknown, text: string) => text, width: 100 };
  expect(toText(result, [], options)).toMatch(/^It was interrupted/m);
  expect(toVsockText(result, [], options)).toMatch(/^It was interrupted/m);
});

test("where there is no room for bars there are none", () => {
  const result = madeResult([cell("copy", large, slow)]);
  const options = { paint: (_: unknown, text: string) => text, width: 60 };
  expect(toText(result, [], options)).not.toMatch(/█/);
});

test("few rounds are warned of", () => {
  const three = [cell("copy", large, [1, 2, 3])];
  expect(verdictsOf(madeResult(three)).at(-1)).toMatch(/fewer than 4 rounds .*--repeat 5/);
  const four = [cell("copy", large, [1, 2, 3, 4])];
  expect(verdictsOf(madeResult(four)).join()).not.toMatch(/fewer/);
});
