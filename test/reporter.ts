/** Closes a run with one line that counts, after the names of what was skipped. */
import type { Reporter, TestCase, TestModule } from "vitest/node";

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => stateOf(test) === "skipped");
    for (const test of skipped) print(`skipped: ${test.fullName}`);
    const passed = tests.filter((test) => stateOf(test) === "passed").length;
    // A file that did not load, or a hook that failed, has no test to blame: it counts as one.
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
    const broken = suites.filter((suite) => suite.errors().length > 0).length;
    const failed = tests.filter((test) => stateOf(test) === "failed").length + broken;
    const rest = skipped.length > 0 ? `, ${skipped.length} skipped` : "";
    print(`${passed} passed, ${failed} failed${rest}`);
  }
}

function stateOf(test: TestCase): string {
  return test.result().state;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
