/** Peers newer than this machine's, of other Debian suites; test/peers/fetch fetches them. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe } from "vitest";
import { isCi } from "./installed.ts";

export interface NewerPeers {
  /** The command that runs a program of /usr/bin. */
  readonly command: (program: string) => readonly [string, ...string[]];
  /** What they would have in /. */
  readonly root: string;
}

/**
 * Tests of programs of a suite. Where they cannot be had the tests are skipped, by name, with the
 * reason; where CI runs they fail.
 */
export function describeWithNewer(
  suite: string,
  packages: readonly string[],
  name: string,
  tests: (peers: NewerPeers) => void,
): void {
  const peers = fetchNewer(suite, packages);
  if (peers !== undefined) describe(`${name}, of ${suite}`, () => tests(peers));
  else if (isCi) throw new Error(`${name}: ${packages.join(", ")} of ${suite} cannot be had`);
  else describe.skip(`${name} (${suite} cannot be had)`, () => tests(absent));
}

const absent: NewerPeers = { command: () => ["false"], root: "" };

/** Some seconds, the first time. */
function fetchNewer(suite: string, packages: readonly string[]): NewerPeers | undefined {
  const fetch = join(import.meta.dirname, "fetch");
  const { status, stdout } = spawnSync(fetch, [suite, ...packages], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const root = stdout.trim();
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const loader = join(libraries, "ld-linux-x86-64.so.2");
  return {
    root,
    command: (program) => [loader, "--library-path", libraries, join(root, "usr/bin", program)],
  };
}
