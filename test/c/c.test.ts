/** The programs test/c/*_test.c, built with c/ and run under the sanitizers. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

const folder = import.meta.dirname;
const names = readdirSync(folder)
  .sort()
  .flatMap((file) => file.match(/^(.*_test)\.c$/)?.[1] ?? []);

describe("sanitized", () => {
  let report: Map<string, string>;

  beforeAll(async () => {
    report = await sanitize();
  });

  test.each(names)("%s", (name) => {
    expect(report.get(name)).toBe(`ok ${name}`);
  });
});

/** What test/c/sanitize says of each program: "ok NAME", or "FAIL NAME" and the program's output. */
async function sanitize(): Promise<Map<string, string>> {
  const child = Bun.spawn([join(folder, "sanitize")], { stdout: "pipe", stderr: "inherit" });
  const output = await new Response(child.stdout).text();
  const status = await child.exited;
  const report = new Map<string, string>();
  for (const entry of output.trimEnd().split(/\n(?! )/)) {
    const name = entry.match(/^(?:ok|FAIL) (\w+)/)?.[1];
    if (name === undefined) throw new Error(`test/c/sanitize ended with ${status}:\n${output}`);
    report.set(name, entry);
  }
  return report;
}
