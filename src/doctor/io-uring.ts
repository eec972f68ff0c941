/** Probes of io_uring: what it sends and receives here, over loopback. */
import { ownAddress } from "../endpoint/own-address.ts";
import { errnoName, ZcError } from "../errors.ts";
import type { MoveCounters } from "../transfer/move.ts";
import type { ReceiveMode } from "../transfer/plan.ts";
import { formatCount } from "../units.ts";
import { cardProbe } from "./cards.ts";
import type { Finding, Probe } from "./finding.ts";
import { trySend } from "./movers.ts";
import { tryReceiveMode } from "./trial.ts";

type Result = Omit<Finding, "feature">;

const allowed = "sysctl kernel.io_uring_disabled=0, and a sandbox that allows it";

export const ioUringProbes: readonly Probe[] = [
  { feature: "io_uring send", run: tryIoUringSend },
  {
    feature: "io_uring receive",
    run: (signal) =>
      tryReceive("io-uring", signal, {
        found: () => ({ verdict: "works", detail: "moved 1 MiB" }),
        mends: { EPERM: allowed, ENOSYS: allowed, EINVAL: "Linux 6.0 or newer" },
      }),
  },
  {
    feature: "zcrx",
    run: (signal) =>
      tryReceive("zcrx", signal, {
        found: ({ lent, returned }) => ({
          verdict: "copies",
          detail: `${formatCount(lent)} pieces lent, ${formatCount(returned)} given back, without a device, which copies`,
        }),
        mends: {
          EPERM: "run it with CAP_NET_ADMIN, where io_uring is allowed",
          EINVAL: "Linux 7.1 or newer for the device-less form",
          EOPNOTSUPP: "Linux 7.1 or newer for the device-less form",
        },
      }),
  },
  cardProbe,
];

async function tryIoUringSend(signal: AbortSignal): Promise<Result> {
  const found = await trySend("io-uring", signal);
  if (found.verdict !== "missing") return found;
  return { ...found, mend: found.detail === "EOPNOTSUPP" ? "Linux 6.0 or newer" : allowed };
}

interface Judging {
  readonly found: (counters: MoveCounters) => Result;
  /** By the errno's name. */
  readonly mends: Readonly<Record<string, string>>;
}

async function tryReceive(
  mode: ReceiveMode,
  signal: AbortSignal,
  { found, mends }: Judging,
): Promise<Result> {
  try {
    return found(await tryReceiveMode(ownAddress("tcp"), mode, {}, signal));
  } catch (error) {
    if (!(error instanceof ZcError) || error.errno === undefined) throw error;
    const name = errnoName(error.errno);
    const mend = mends[name];
    return { verdict: "missing", detail: name, ...(mend !== undefined && { mend }) };
  }
}
