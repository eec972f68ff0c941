/** For tests that need a kernel of their own. */
import { describe } from "vitest";
import { findKernel, findMtty, type Kernel, type KernelKind } from "./kernels.ts";

/** Emulated guests are slow, and slower beside others. */
const timeout = 120_000;
const mandatory = Boolean(process.env["CI"]);

/**
 * Tests under a kernel of this kind. Where it is not to be had they are skipped, by name, with the
 * reason; where CI runs they fail.
 */
export function describeWithKernel(
  kind: KernelKind,
  name: string,
  tests: (kernel: Kernel) => void,
): void {
  const kernel = findKernel(kind);
  if (typeof kernel !== "string")
    describe(`${name}, under the ${kind} kernel`, { timeout }, () => tests(kernel));
  else if (mandatory) throw new Error(`${name}: ${kernel}`);
  else describe.skip(`${name} (${kernel})`, () => tests({ image: "", initramfs: "", folder: "" }));
}

/**
 * Tests with mtty, a device that can be migrated, under the newest kernel; `modules`: a folder.
 * Skipped, by name, also where it cannot be built.
 */
export function describeWithMtty(
  name: string,
  tests: (kernel: Kernel, modules: string) => void,
): void {
  describeWithKernel("newest", name, (kernel) => {
    const mtty = kernel.folder === "" ? "" : findMtty(kernel);
    if (typeof mtty !== "string") tests(kernel, mtty.folder);
    else describe.skip(`with mtty (${mtty})`, () => tests(kernel, ""));
  });
}
