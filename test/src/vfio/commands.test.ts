/** zc vfio's border: what it refuses before it looks for a device. */
import { expect, test } from "vitest";
import { zc } from "../../support/zc.ts";

test.each([
  [["vfio"], "what is to be done is missing"],
  [["vfio", "info"], "DEV is missing"],
  [["vfio", "info", "nvme0"], "it names no device"],
  [["vfio", "state", "01:00.0", "ERROR"], "only a reset leaves it"],
  [["vfio", "state", "01:00.0", "STOPPED"], "a device has no such state"],
  [["vfio", "state", "01:00.0", "STOP", "--reset"], "it leads to RUNNING"],
  [["vfio", "save", "01:00.0", "--no-pre-copy", "--deadline", "5s"], "they are for a pre-copy"],
  [["vfio", "save", "01:00.0", "--downtime", "5"], "has no unit"],
  [["vfio-user", "migrate", "a", "b", "--no-pre-copy", "--deadline", "5s"], "are for a pre-copy"],
])("%j", async (args, reason) => {
  const { code, stderr } = await zc(args);
  expect({ code, lines: stderr.trimEnd().split("\n").length }).toEqual({ code: 2, lines: 1 });
  expect(stderr).toContain(reason);
});

test("a device that is not there costs no file, and no connection", async () => {
  const { code, stdout, stderr } = await zc([
    ...["vfio", "save", "--json", "ffff:ff:1f.7", "/nowhere/at/all"],
  ]);
  expect(JSON.parse(stdout.toString()).error.code).toMatch(/^(UNSUPPORTED|CONNECT)$/);
  expect([1, 3]).toContain(code);
  expect(stderr).not.toContain("/nowhere");
});
