import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import CountingReporter from "./reporter.ts";

/** Virtual machines take longest: begun last, one of them would keep everybody waiting. */
class LabFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLab = ({ moduleId }: TestSpecification) => moduleId.includes("/test/lab/");
    return [...sorted.filter(isLab), ...sorted.filter((file) => !isLab(file))];
  }
}

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    reporters: ["default", new CountingReporter()],
    pool: "forks",
    // Each test file talks to the kernel: two at a time is what two cores carry.
    maxWorkers: 2,
    sequence: { sequencer: LabFirst },
    testTimeout: 30_000,
    // A guest may need more than one attempt to boot.
    hookTimeout: 200_000,
  },
});
