/** From which size on a send without copies is no slower than a copy. */
import { worthwhile } from "../channel/choose.ts";
import { ownAddress } from "../endpoint/own-address.ts";
import { ZcError } from "../errors.ts";
import { formatSize } from "../units.ts";
import type { Finding } from "./finding.ts";
import { tryMode } from "./trial.ts";

const sizes = [4096, 8192, 16384, 32768, 65536, 131072];
const rounds = 5;

/** Over vsock on this machine: loopback TCP copies whatever is asked. */
export async function tryBreakEven(signal: AbortSignal): Promise<Omit<Finding, "feature">> {
  try {
    const ratios: number[] = [];
    for (const size of sizes) ratios.push(await ratioOf(size, signal));
    const lastSlower = ratios.findLastIndex((ratio) => ratio > 1);
    const size = sizes[lastSlower + 1];
    if (size === undefined) return { verdict: "copies", detail: "slower than a copy at any size" };
    const detail = `pays from sends of ${formatSize(size)} on, over vsock here; channels take ${formatSize(worthwhile)}`;
    return { verdict: "works", detail };
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    return {
      verdict: "missing",
      detail: `nothing here to measure it with; channels take ${formatSize(worthwhile)}`,
      mend: "modprobe vsock_loopback",
    };
  }
}

/** Time without copies over time with; the median of several pairs. */
async function ratioOf(size: number, signal: AbortSignal): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const uncopied = await tryMode(ownAddress("vsock"), "msg-zerocopy", signal, size);
    const copied = await tryMode(ownAddress("vsock"), "copy", signal, size);
    ratios.push(uncopied.seconds / copied.seconds);
  }
  return ratios.sort((one, other) => one - other)[Math.floor(rounds / 2)] ?? Number.NaN;
}
