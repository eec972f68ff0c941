/** Probes of what moves bytes: each mode over each transport, tried with a megabyte. */
import type { Address } from "../address/index.ts";
import { ownAddress } from "../endpoint/own-address.ts";
import { errnoName, ZcError } from "../errors.ts";
import type { MoveCounters } from "../transfer/move.ts";
import type { Mode } from "../transfer/plan.ts";
import { tryBreakEven } from "./break-even.ts";
import type { Finding, Probe } from "./finding.ts";
import { tryMode } from "./trial.ts";

const [tcp, unix, vsock] = [ownAddress("tcp"), ownAddress("unix"), ownAddress("vsock")];

export const moverProbes: readonly Probe[] = [
  {
    feature: "sendfile tcp",
    run: (signal) => tryMover(tcp, "sendfile", signal),
  },
  {
    feature: "sendfile unix",
    run: (signal) => tryMover(unix, "sendfile", signal),
  },
  { feature: "splice tcp", run: (signal) => tryMover(tcp, "splice", signal) },
  { feature: "splice unix", run: (signal) => tryMover(unix, "splice", signal) },
  { feature: "msg-zerocopy tcp", run: (signal) => trySend("msg-zerocopy", signal) },
  {
    feature: "msg-zerocopy unix",
    run: (signal) => tryMover(unix, "msg-zerocopy", signal),
  },
  {
    feature: "msg-zerocopy vsock",
    run: (signal) => tryMover(vsock, "msg-zerocopy", signal),
  },
  { feature: "msg-zerocopy size", run: tryBreakEven },
];

async function tryMover(
  address: Address,
  mode: Mode,
  signal: AbortSignal,
): Promise<Omit<Finding, "feature">> {
  try {
    return judge((await tryMode(address, mode, signal)).counters);
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    return {
      verdict: "missing",
      detail: reasonOf(error),
      ...mendOf(address, error),
    };
  }
}

/** Without copies over TCP. Loopback cannot tell what a network card does. */
export async function trySend(
  mode: "msg-zerocopy" | "io-uring",
  signal: AbortSignal,
): Promise<Omit<Finding, "feature">> {
  const found = await tryMover(tcp, mode, signal);
  if (found.verdict !== "copies") return found;
  return {
    ...found,
    detail: `${found.detail}; loopback always copies, a network card need not`,
    mend: `to see what it does over your network: zc send -v --mode ${mode} HOST:PORT FILE`,
  };
}

function judge({ completions, copied, sends }: MoveCounters): Omit<Finding, "feature"> {
  if (sends === 0) return { verdict: "works", detail: "moved 1 MiB" };
  const uncopied = completions - copied;
  if (uncopied > 0)
    return {
      verdict: "works",
      detail: `${uncopied} of ${completions} sends not copied`,
    };
  return { verdict: "copies", detail: `${sends} of ${sends} sends copied` };
}

function reasonOf({ errno, message }: ZcError): string {
  return errno === undefined ? message : errnoName(errno);
}

function mendOf({ transport }: Address, { errnoName: name }: ZcError): { mend?: string } {
  if (transport === "unix") return {};
  if (transport === "vsock" && name === "EOPNOTSUPP") return { mend: "Linux 6.7 or newer" };
  return transport === "vsock" ? { mend: "modprobe vsock_loopback" } : {};
}
