/** Probes of TCP_ZEROCOPY_RECEIVE: whether the kernel maps, and whether the network lets it. */
import { readFileSync } from "node:fs";
import { ownAddress } from "../endpoint/own-address.ts";
import { errnoName, ZcError } from "../errors.ts";
import { pageMss } from "../transfer/plan.ts";
import { formatShare } from "../units.ts";
import type { Finding, Probe } from "./finding.ts";
import { tryReceiveMode } from "./trial.ts";

type Result = Omit<Finding, "feature">;

/** Headers of IP and TCP, without TCP's options, which are part of its MSS; bytes. */
const headers = { ipv4: 20 + 20, ipv6: 40 + 20 } as const;
const recipe = `--mss ${pageMss} on both ends`;
/** Of what can be mapped over loopback, with some of it not yet in step. */
const mappedWanted = 0.5;

export const tcpZerocopyProbes: readonly Probe[] = [
  { feature: "tcp-zerocopy receive", run: tryMapping },
  { feature: "tcp-zerocopy route", run: async () => judgeRoute() },
];

/**
 * The kernel maps whole pages that nobody else has. Over loopback those are there only when the
 * sender used MSG_ZEROCOPY, whose forced copy makes single pages.
 */
async function tryMapping(signal: AbortSignal): Promise<Result> {
  try {
    const settings = { mss: pageMss };
    const tcp = ownAddress("tcp");
    const { bytes, uncopied } = await tryReceiveMode(tcp, "tcp-zerocopy", settings, signal);
    const detail = `${formatShare(uncopied / bytes)} of the bytes mapped over loopback, ${recipe}`;
    return { verdict: uncopied > mappedWanted * bytes ? "works" : "copies", detail };
  } catch (error) {
    if (!(error instanceof ZcError) || error.errno === undefined) throw error;
    const mend = "Linux 5.12 or newer, and a sandbox that allows it";
    return { verdict: "missing", detail: errnoName(error.errno), mend };
  }
}

/** Segments of a page must fit the way out; what its card does with headers, nobody here knows. */
function judgeRoute(): Result {
  const route = defaultRoute();
  if (route === undefined) return { verdict: "missing", detail: "no default route" };
  const { name, family } = route;
  const mtu = Number.parseInt(read(`/sys/class/net/${name}/mtu`), 10);
  if (Number.isNaN(mtu)) return { verdict: "missing", detail: `${name}'s MTU is not to be read` };
  const wanted = pageMss + headers[family];
  if (mtu < wanted) {
    return {
      verdict: "copies",
      detail: `${name}'s MTU is ${mtu}: no segment has a page`,
      mend: `ip link set ${name} mtu ${wanted} (or 9000) on both hosts, then ${recipe}`,
    };
  }
  return {
    verdict: "works",
    detail: `${name}'s MTU of ${mtu} takes a page a segment, ${recipe}, if its card splits off headers`,
    mend: `to see whether it can: ethtool --show-ring ${name}, TCP data split`,
  };
}

/** The first of /proc/net/route, or else of /proc/net/ipv6_route: proc_pid_net(5). */
function defaultRoute(): { name: string; family: keyof typeof headers } | undefined {
  for (const fields of rows("/proc/net/route")) {
    const [name = "", destination, , , , , , mask] = fields;
    if (destination === "00000000" && mask === "00000000") return { name, family: "ipv4" };
  }
  for (const fields of rows("/proc/net/ipv6_route")) {
    const [destination, length] = fields;
    const name = fields.at(-1) ?? "lo";
    const isDefault = destination === "0".repeat(32) && length === "00";
    if (isDefault && name !== "lo") return { name, family: "ipv6" };
  }
  return undefined;
}

function rows(path: string): string[][] {
  const lines = read(path).split("\n");
  return lines.map((line) => line.trim().split(/\s+/));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
