/** Samples as tables, and goals as met or missed. Pure. */

import { ratiosOf, type Spread, spreadOf } from "../../src/bench/statistics.ts";
import { bestOther, type Case, type Goal } from "./cases.ts";
import type { Sample } from "./measure.ts";

/** By contender: a sample a round, or why there is none. */
export type Results = ReadonlyMap<string, readonly (Sample | string)[]>;

const GiB = 2 ** 30;

/** A table in Markdown. */
export function table({ name }: Case, results: Results, bytes: number): string {
  const rows = [...results].map(([contender, samples]) => row(contender, samples, results, bytes));
  return [
    `### ${name}`,
    "",
    "| | GiB/s, median (min to max) | CPU s/GiB, both ends | zc's throughput over it | stolen |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

function row(
  contender: string,
  samples: readonly (Sample | string)[],
  results: Results,
  bytes: number,
) {
  const good = samples.filter((sample) => typeof sample !== "string");
  if (good.length === 0) return `| ${contender} | ${samples[0]} | | | |`;
  const rates = spreadOf(good.map(({ seconds }) => bytes / GiB / seconds));
  const cpu = spreadOf(good.map(({ cpuSeconds }) => cpuSeconds / (bytes / GiB)));
  const ratio = compare(results, "throughput", contender);
  const stolen = Math.max(...good.map((sample) => sample.stolen));
  const failed = good.length < samples.length ? `, ${samples.length - good.length} failed` : "";
  const cells = [
    contender,
    `${show(rates)}${failed}`,
    show(cpu),
    show(ratio),
    `${Math.round(stolen * 100)} %`,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Each goal, with what was reached. */
export function verdicts({ goals }: Case, results: Results): string[] {
  return goals.map((goal) => {
    const against = goal.against === bestOther ? best(results) : goal.against;
    const reached = compare(results, goal.measure, against);
    const met =
      goal.measure === "cpu" ? reached.median <= goal.ratio : reached.median >= goal.ratio;
    return `- ${met ? "met" : "MISSED"}: ${wording(goal, against)}: ${show(reached)}`;
  });
}

function wording({ measure, ratio, against: asked }: Goal, against: string): string {
  const of = asked === bestOther ? `${asked}, ${against}` : against;
  return measure === "cpu"
    ? `CPU at most ${ratio} × ${of}`
    : `throughput at least ${ratio} × ${of}`;
}

function best(results: Results): string {
  const others = [...results.keys()].filter((name) => name !== "zc" && name !== "reference");
  const rate = (name: string) => spreadOf(secondsOf(results, name)).median;
  return (
    others.filter((name) => !Number.isNaN(rate(name))).sort((a, b) => rate(a) - rate(b))[0] ?? ""
  );
}

function compare(results: Results, measure: Goal["measure"], against: string): Spread {
  if (measure === "throughput")
    return ratiosOf(secondsOf(results, against), secondsOf(results, "zc"));
  return ratiosOf(cpuOf(results, "zc"), cpuOf(results, against));
}

function secondsOf(results: Results, name: string): number[] {
  return numbers(results, name, ({ seconds }) => seconds);
}

function cpuOf(results: Results, name: string): number[] {
  return numbers(results, name, ({ cpuSeconds }) => cpuSeconds);
}

function numbers(results: Results, name: string, of: (sample: Sample) => number): number[] {
  return (results.get(name) ?? []).map((sample) =>
    typeof sample === "string" ? Number.NaN : of(sample),
  );
}

function show({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
