/** Names to addresses, through the system's resolver (getaddrinfo(3)). */
import { readFileSync } from "node:fs";
import { parseIp, splitZone } from "../address/ip.ts";
import { ZcError } from "../errors.ts";

export interface HostAddress {
  readonly address: string;
  /** The interface's index, of an IPv6 address with a zone. */
  readonly scopeId?: number;
}

/** Every address of `host`, in the resolver's order of preference. Throws CONNECT. */
export async function resolveHost(host: string): Promise<readonly HostAddress[]> {
  const { address, zone } = splitZone(host);
  if (parseIp(address) !== undefined) {
    return [zone === undefined ? { address } : { address, scopeId: interfaceIndex(host, zone) }];
  }
  if (host === "localhost") return [{ address: "127.0.0.1" }, { address: "::1" }];
  const { lookup } = await import("node:dns/promises");
  try {
    return await lookup(host, { all: true, order: "verbatim" });
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw unresolved(host, reason, "no such name, or no resolver that knows it");
  }
}

/** RFC 4007: a zone is an interface's name, or its index. */
function interfaceIndex(host: string, zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  try {
    return Number(readFileSync(`/sys/class/net/${zone.replaceAll("/", "")}/ifindex`, "utf8"));
  } catch {
    throw unresolved(host, `no network interface ${zone}`, "ip link lists them");
  }
}

function unresolved(host: string, reason: string, hint: string): ZcError {
  return new ZcError({ code: "CONNECT", operation: "resolve", subject: host, reason, hint });
}
