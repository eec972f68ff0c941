/** The lab itself: guests boot, run commands, and leave nothing behind. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import manifest from "../../package.json";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const bootTimeoutMs = 200_000;

describeWithKernel("newest", "a guest", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
  });
  afterAll(() => guest?.stop());

  test("has a kernel of 7 or newer, and this checkout", async () => {
    expect(Number.parseInt(guest.release, 10)).toBeGreaterThanOrEqual(7);
    const { code, stdout } = await guest.run("src/zc --version");
    expect({ code, version: stdout.toString() }).toEqual({
      code: 0,
      version: `zc ${manifest.version}\n`,
    });
  });

  test("passes bytes, notes and codes on as they are", async () => {
    const result = await guest.run(`printf '\\0\\377\\n'; echo note >&2; exit 7`);
    expect(result.code).toBe(7);
    expect([...result.stdout]).toEqual([0, 255, 10]);
    expect(result.stderr).toBe("note\n");
  });

  test("runs commands at the same time", async () => {
    const first = guest.run("mkfifo /dev/shm/fifo; cat /dev/shm/fifo");
    const second = guest.run(
      "until [ -p /dev/shm/fifo ]; do :; done; echo from the other >/dev/shm/fifo",
    );
    expect((await first).stdout.toString()).toBe("from the other\n");
    expect((await second).code).toBe(0);
  });

  test("what it writes to the root stays in it", async () => {
    const path = `/zc-lab-${process.pid}`;
    expect((await guest.run(`echo here >${path} && cat ${path}`)).stdout.toString()).toBe("here\n");
    expect(readdirSync("/")).not.toContain(path.slice(1));
  });
});

describeWithKernel("old", "a guest", (kernel) => {
  test(
    "has a kernel of 6.1",
    async () => {
      await using guest = await Guest.boot({ kernel });
      expect(guest.release).toMatch(/^6\.1\./);
    },
    bootTimeoutMs,
  );
});

describeWithKernel("newest", "a guest that ends", (kernel) => {
  test(
    "fails the command that runs, and leaves no folder",
    async () => {
      const guest = await Guest.boot({ kernel });
      await expect(guest.run("echo o >/proc/sysrq-trigger; sleep 60")).rejects.toThrow(
        /the guest ended/,
      );
      await guest.stop();
    },
    bootTimeoutMs,
  );
});
