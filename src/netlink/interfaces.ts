/** The network interfaces there are, rtnetlink(7), and their queues (Documentation/netlink/specs/netdev.yaml). */
import type { GenericNetlink } from "./generic.ts";
import { type Attribute, decodeAttributes, numberOf, textOf, u32Attribute } from "./message.ts";
import { NetlinkSocket, netlinkProtocol } from "./socket.ts";

/** RTM_GETLINK, and the struct ifinfomsg before its attributes. */
const link = { get: 18, header: 16, name: 3 } as const;
const queue = { get: 10, id: 1, interface: 2, type: 3, typeReceive: 0 } as const;

/** Names of all. Throws UNSUPPORTED, PROTOCOL. */
export function interfaceNames(): string[] {
  using socket = new NetlinkSocket(netlinkProtocol.route);
  const payload = new Uint8Array(link.header);
  const replies = socket.ask({ type: link.get, payload, dump: true });
  return replies.flatMap((reply) => nameOf(reply.payload) ?? []);
}

export function nameOf(payload: Uint8Array): string | undefined {
  return textOf(decodeAttributes(payload.subarray(link.header)), link.name);
}

/** How many receive queues it has; undefined: it is down, which tells of none. */
export function readReceiveQueues(netlink: GenericNetlink, index: number): number | undefined {
  const attributes = [u32Attribute(queue.interface, index)];
  return queuesOf(netlink.ask("netdev", { command: queue.get, attributes, dump: true }));
}

export function queuesOf(replies: readonly (readonly Attribute[])[]): number | undefined {
  const numbers = replies
    .filter((reply) => numberOf(reply, queue.type) === queue.typeReceive)
    .flatMap((reply) => numberOf(reply, queue.id) ?? []);
  return numbers.length === 0 ? undefined : numbers.length;
}
