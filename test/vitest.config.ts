import { defineConfig } from "vitest/config";
import CountingReporter from "./reporter.ts";

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    reporters: ["default", new CountingReporter()],
    pool: "forks",
    // Each test file talks to the kernel: two at a time is what two cores carry.
    maxWorkers: 2,
    testTimeout: 30_000,
    // A guest may need more than one attempt to boot.
    hookTimeout: 200_000,
  },
});
