/**
 * QEMU's own reader of streams, scripts/analyze-migration.py of its sources.
 *
 * The one of 10.0 reads what 7.2 and 11.1 write as well, as long as the stream ends with its
 * description. It does not read XBZRLE, mapped-ram, or configuration's subsections ("uuid" and
 * "shared") of 7.2; of multifd and "shared" it has the devices' state but not the memory. The one
 * of 7.2 reads nothing more, and knows no commands: no stream of a machine since 10.0.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe } from "vitest";
import { isCi } from "../peers/installed.ts";
import { failure, own } from "../peers/own.ts";

export interface Analyzer {
  /** What it tells of each section, by "NAME (ID)". */
  readonly state: (stream: string) => Promise<Readonly<Record<string, unknown>>>;
  /** Writes the memory into a folder: a file for each block, with its name. */
  readonly extract: (stream: string, folder: string) => Promise<void>;
}

/** Tests with it: where it cannot be had they are skipped, by name; where CI runs they fail. */
export function describeWithAnalyzer(name: string, tests: (analyzer: Analyzer) => void): void {
  const script = fetchScript();
  if (script !== undefined) describe(name, () => tests(analyzerOf(script)));
  else if (isCi) throw new Error(`${name}: QEMU's sources cannot be had`);
  else describe.skip(`${name} (QEMU's sources cannot be had)`, () => tests(analyzerOf("")));
}

function analyzerOf(script: string): Analyzer {
  const run = async (folder: string, ...args: readonly string[]) => {
    const result = await own("env", ["-C", folder, "python3", script, ...args]).result;
    if (failure(result) !== "") throw new Error(failure(result));
    return result.stdout.toString();
  };
  return {
    state: async (stream) => JSON.parse(await run("/", "-f", stream, "-d", "state")),
    extract: async (stream, folder) => void (await run(folder, "-f", stream, "-x")),
  };
}

/** Some seconds, the first time. */
function fetchScript(): string | undefined {
  const fetch = join(import.meta.dirname, "../peers/fetch-source");
  const args = ["trixie", "qemu", "scripts/analyze-migration.py"];
  const { status, stdout } = spawnSync(fetch, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
