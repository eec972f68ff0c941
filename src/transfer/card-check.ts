/**
 * Whether a network card is set up as zcrx needs it (Documentation/networking/iou-zcrx.rst): what the
 * kernel refuses, and what it copies without a word. Pure: facts in, findings out.
 */
import type { Address } from "../address/index.ts";
import { formatIp, parseIp } from "../address/ip.ts";
import type { Feature } from "../netlink/ethtool.ts";

/** undefined everywhere: not told, and then nothing is found. */
export interface CardFacts {
  readonly name: string;
  readonly queue: number;
  /** Receive queues there are. */
  readonly queues: number | undefined;
  /** Headers and payload in buffers of their own. */
  readonly split: "on" | "off" | undefined;
  /** Bytes up to which a packet is not split. */
  readonly splitThreshold: number | undefined;
  readonly steering: Feature | undefined;
  /** Rules that steer to the queue. */
  readonly rules: number | undefined;
  /** Queues among which it spreads all other flows. */
  readonly spread: readonly number[] | undefined;
}

export interface CardFinding {
  readonly detail: string;
  /** The command that mends it, where there is one. */
  readonly mend?: string;
}

/** The connection's packets, as ethtool(8) -N describes them: "tcp4 dst-port 5000". */
export function flowOf(address: Address, role: "listen" | "connect"): string {
  const side = role === "listen" ? "dst-port" : "src-port";
  if (address.transport !== "tcp") return `tcp4 ${side} PORT`;
  const [host = ""] = address.host.split("%");
  const type = parseIp(host)?.length === 16 ? "tcp6" : "tcp4";
  return `${type} ${side} ${address.port === 0 ? "PORT" : address.port}`;
}

/** A card brings nothing to loopback, unless somebody translates addresses (route_localnet). */
export function checkAddress(address: Address, role: "listen" | "connect"): CardFinding[] {
  if (address.transport !== "tcp" || !isLoopback(address.host)) return [];
  const { host, port } = address;
  const everywhere = host.includes(":") ? "[::]" : "*";
  return [
    {
      detail: `${host || "127.0.0.1"} is reached over loopback alone, by no card: what comes there is copied`,
      ...(role === "listen" && { mend: `zc recv '${everywhere}:${port}'` }),
    },
  ];
}

function isLoopback(host: string): boolean {
  const bytes = parseIp(host);
  if (bytes === undefined) return host === "" || host === "localhost";
  return /^(::1|(::ffff:)?127\..*)$/.test(formatIp(bytes));
}

export function checkCard(facts: CardFacts, flow: string): CardFinding[] {
  return [...checkSplit(facts), ...checkSteering(facts, flow), ...checkSpread(facts)];
}

export function checkSplit({
  name,
  split,
  splitThreshold = 0,
}: Pick<CardFacts, "name" | "split" | "splitThreshold">): CardFinding[] {
  const findings: CardFinding[] = [];
  if (split === "off")
    findings.push({
      detail: `${name} does not split headers from data, and the kernel refuses its queues`,
      mend: `ethtool -G ${name} tcp-data-split on`,
    });
  if (splitThreshold > 0)
    findings.push({
      detail: `${name} splits only packets over ${splitThreshold} bytes, and the kernel refuses its queues`,
      mend: `ethtool -G ${name} hds-thresh 0`,
    });
  return findings;
}

/** All that comes by another queue is copied. An only queue gets everything. */
function checkSteering(facts: CardFacts, flow: string): CardFinding[] {
  const { name, queue, queues, steering, rules } = facts;
  if (queues === 1 || (rules ?? 0) > 0) return [];
  const rule = `ethtool -N ${name} flow-type ${flow} action ${queue}`;
  const copied = "what comes by another is copied";
  if (steering === "off")
    return [
      {
        detail: `${name} steers no flow to queue ${queue} (ntuple is off): ${copied}`,
        mend: `ethtool -K ${name} ntuple on && ${rule}`,
      },
    ];
  if (rules === 0)
    return [{ detail: `${name} has no rule that steers to queue ${queue}: ${copied}`, mend: rule }];
  if (steering === "never")
    return [{ detail: `${name} cannot steer flows to queue ${queue}: ${copied}` }];
  return [];
}

/** Others' packets would use up the memory, and be copied out of it. */
function checkSpread({ name, queue, queues, spread }: CardFacts): CardFinding[] {
  if (queues === 1 || !spread?.includes(queue)) return [];
  return [
    {
      detail: `${name} spreads other flows to queue ${queue}, too (RSS)`,
      mend: `ethtool -X ${name} ${spreadWithout(queue, queues ?? queue + 1)}`,
    },
  ];
}

/** Over the queues before it or behind it, whichever are more. */
function spreadWithout(queue: number, queues: number): string {
  const behind = queues - queue - 1;
  return queue >= behind ? `equal ${queue}` : `start ${queue + 1} equal ${behind}`;
}
