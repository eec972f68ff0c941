/**
 * Closes a run with one line that counts, after the names of what was skipped or failed; in the file
 * that ZC_TEST_COUNTS names too, for who adds up several runs.
 */
import { appendFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => stateOf(test) === "skipped");
    for (const test of skipped) print(`skipped: ${test.fullName}`);
    const passed = tests.filter((test) => stateOf(test) === "passed").length;
    // A file that did not load, or a hook that failed, has no test to blame: it counts as one.
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
    const broken = suites.filter((suite) => suite.errors().length > 0);
    for (const test of tests) printErrors(test, test.result().errors ?? []);
    for (const suite of broken) printErrors(suite, suite.errors());
    const failed = tests.filter((test) => stateOf(test) === "failed").length + broken.length;
    if (skipped.length > 0) print(`${skipped.length} skipped`);
    print(`${passed} passed, ${failed} failed`);
    const { ZC_TEST_COUNTS: counts } = process.env;
    if (counts) appendFileSync(counts, `${passed} ${failed}\n`);
  }
}

/** A line for each: all of it is further up, which what keeps only a log's end does not have. */
function printErrors(
  of: TestCase | TestSuite | TestModule,
  errors: readonly { readonly message: string }[],
): void {
  const where =
    of.type === "module" ? of.relativeModuleId : `${of.module.relativeModuleId} > ${of.fullName}`;
  for (const { message } of errors) print(`failed: ${where}: ${message.split("\n")[0]}`);
}

function stateOf(test: TestCase): string {
  return test.result().state;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
