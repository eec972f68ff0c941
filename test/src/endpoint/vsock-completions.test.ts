/** Which kernels tell of vsock sends too early: CVE-2026-53365's own list. */
import { expect, test } from "vitest";
import { completesTooEarly } from "../../../src/endpoint/vsock-completions.ts";

test.each([
  ["6.6.99", false],
  ["6.7.0", true],
  ["6.12.96+deb13-amd64", true],
  ["6.12.97+deb13-amd64", false],
  ["6.12.107", false],
  ["6.13.1", true],
  ["6.18.33", true],
  ["6.18.34", false],
  ["6.18.44-fc", false],
  ["6.19-rc3", true],
  ["7.0.10", true],
  ["7.0.11", false],
  ["7.0", true],
  ["7.3.4+deb13-amd64", false],
  ["nonsense", false],
])("%s: %j", (release, expected) => {
  expect(completesTooEarly(release)).toBe(expected);
});
