/** Modes that a kernel, a sandbox, or the two ends do not allow, and what could be done about it. */
import { constants } from "node:os";
import { errnoName } from "../errors.ts";
import { lockedMemoryWanted, raiseLockedMemory } from "../limits.ts";
import { formatSize } from "../units.ts";
import type { Mode } from "./plan.ts";

const { EINVAL, ENOSYS, EPERM, EOPNOTSUPP, EPROTONOSUPPORT } = constants.errno;
const { EEXIST, EBUSY, ENODEV, ERANGE, ENOMEM } = constants.errno;

/** Before its first byte, these say that a mover cannot join these two ends. */
export const refusals: ReadonlySet<number> = new Set<number>([
  ...[EINVAL, ENOSYS, EPERM, EOPNOTSUPP, EPROTONOSUPPORT],
]);
/** And these that it cannot have a network card's queue. */
const queueRefusals: ReadonlySet<number> = new Set<number>([
  ...[EEXIST, EBUSY, ENODEV, ERANGE, ENOMEM],
]);

export function isRefusal(mode: Mode, errno: number): boolean {
  return refusals.has(errno) || (mode === "zcrx" && queueRefusals.has(errno));
}

/** What the user can do about it, where more is known than to take another mode. */
export function refusalHintOf(mode: Mode, errno: number): string | undefined {
  return hints[mode]?.[errnoName(errno)];
}

const onlyTcp = "only TCP is received so; for vsock no kernel has anything of the kind";

const hints: Partial<Record<Mode, Readonly<Record<string, string>>>> = {
  "io-uring": {
    EPERM:
      "sysctl kernel.io_uring_disabled=0, and a sandbox that allows it; --mode auto does without",
  },
  discard: { EOPNOTSUPP: "it is for TCP to /dev/null, and looks at no byte" },
  zcrx: {
    EPERM: "it needs CAP_NET_ADMIN",
    EINVAL:
      "a card's queue needs Linux 6.15 and ethtool -G NAME tcp-data-split on, the device-less form Linux 7.1",
    EEXIST: "somebody else has this queue, or an XDP program this interface",
    EBUSY: "somebody else has this queue: AF_XDP, or another interface",
    EOPNOTSUPP: "this interface's driver cannot",
    EPROTONOSUPPORT: onlyTcp,
    ENODEV: "there is no such queue",
    ERANGE: "there is no such queue",
    ENOMEM: `${formatSize(lockedMemoryWanted)} of locked memory would do: ${raiseLockedMemory}`,
  },
};
