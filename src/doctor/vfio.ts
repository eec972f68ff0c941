/** Which devices VFIO has. None is opened: that can reset it. */
import { listDevices } from "../vfio/kernel/locate.ts";
import type { Finding, Probe } from "./finding.ts";

export const vfioProbe: Probe = {
  feature: "VFIO",
  run: async () => judgeDevices(listDevices()),
};

/** undefined: there is no VFIO. */
export function judgeDevices(names: readonly string[] | undefined): Omit<Finding, "feature"> {
  if (names === undefined)
    return {
      verdict: "missing",
      detail: "this kernel has no VFIO, or its modules are not loaded",
      mend: "modprobe vfio-pci",
    };
  if (names.length === 0)
    return {
      verdict: "missing",
      detail: "no device has a vfio driver",
      mend: "driverctl set-override ADDRESS vfio-pci, or its maker's vfio driver, which can migrate it",
    };
  const shown = names.slice(0, shownMax).join(", ");
  const more = names.length > shownMax ? ` and ${names.length - shownMax} more` : "";
  return { verdict: "works", detail: `${shown}${more}; zc vfio info DEV tells what it can` };
}

const shownMax = 8;
