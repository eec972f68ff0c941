/** HOST:PORT, for the transports of IP. An empty host is loopback, "*" all interfaces. */
import { parseNumber, type TransportGrammar, type Wrong } from "./grammar.ts";
import { parseIp, splitZone } from "./ip.ts";

export interface HostPortAddress<T extends string> {
  readonly transport: T;
  /** A name, an IP address without brackets, "" or "*". */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

const portMax = 0xffff;
/** RFC 1035 section 2.3.4, without the dot that may end it. */
const nameLengthMax = 253;
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;
/** An interface: IFNAMSIZ - 1 characters, netdevice(7). */
const zoneName = /^[\w.@+-]{1,15}$/;

export function hostPort<const T extends string>(
  transport: T,
): TransportGrammar<HostPortAddress<T>> {
  return {
    example: `${transport}:localhost:5000`,
    parse(rest, wrong) {
      const [, bracketed, bare = "", port] =
        /^(?:\[([^[\]]*)\]|([^[\]]*)):([^:[\]]*)$/.exec(rest) ?? [];
      if (port === undefined) throw wrong("HOST:PORT is expected");
      if (bracketed === undefined) assertBareHost(bare, rest, transport, wrong);
      else if (!isIpv6(bracketed))
        throw wrong(`"${bracketed}" is not an IPv6 address`, `${transport}:[::1]:5000`);
      const host = bracketed ?? bare;
      return { transport, host, port: parseNumber(port, "port", portMax, wrong) };
    },
    format({ host, port }) {
      return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    },
  };
}

function assertBareHost(host: string, rest: string, transport: string, wrong: Wrong): void {
  if (host === "" || host === "*" || isName(host) || isIpv4(host)) return;
  if (!host.includes(":")) throw wrong(`the host "${host}" is neither a name nor an address`);
  // "::1:5000" may be meant as an address and a port, or as an address alone.
  const address = [host, rest].find(isIpv6);
  if (address === undefined) throw wrong(`the host "${host}" has a colon`);
  throw wrong("an IPv6 address needs brackets", `${transport}:[${address}]:5000`);
}

/** What ends in a number can only be an IPv4 address, as in the URL standard. */
function isName(host: string): boolean {
  const name = host.replace(/\.$/, "");
  const labels = name.split(".");
  const isNumeric = /^\d+$/.test(labels.at(-1) ?? "");
  return !isNumeric && name.length <= nameLengthMax && labels.every((part) => label.test(part));
}

function isIpv4(host: string): boolean {
  return parseIp(host)?.length === 4;
}

function isIpv6(host: string): boolean {
  const { address, zone } = splitZone(host);
  return parseIp(address)?.length === 16 && (zone === undefined || zoneName.test(zone));
}
