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
    // Nobody times a test: these end what hangs, on a machine however busy.
    testTimeout: 200_000,
    expect: { poll: { timeout: 20_000 } },
    // A guest may need more than one attempt to boot.
    hookTimeout: 400_000,
  },
});
