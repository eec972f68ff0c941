/** zc bench --iperf3, and what it says. */
import { expect } from "vitest";
import { benchResultSchema } from "../../../../src/bench/result.schema.ts";
import type { BenchResult } from "../../../../src/bench/result.ts";
import { type Result, zc } from "../../../support/zc.ts";

/** One cell, the baseline. */
export const single = ["--modes=copy", "--sizes=1M", "--progress=none"];

export function zcBench(port: number, ...args: readonly string[]): Promise<Result> {
  return zc(["bench", "--iperf3", `127.0.0.1:${port}`, ...args]);
}

export async function measured(port: number, ...args: readonly string[]): Promise<BenchResult> {
  const { code, stdout, stderr } = await zcBench(port, "--json", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return parse(stdout);
}

export function parse(json: Buffer): BenchResult {
  return benchResultSchema.parse(JSON.parse(json.toString())) as BenchResult;
}
