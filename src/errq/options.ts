/** Socket options that put more on the error queue. */
import { family } from "../address/sockaddr.ts";
import type { Connection } from "../endpoint/connection.ts";
import { level, option, setInt, socketType } from "../endpoint/socket.ts";
import { ZcError } from "../errors.ts";

/** linux/net_tstamp.h: SOF_TIMESTAMPING_ */
const stamping = {
  txSoftware: 1 << 1,
  software: 1 << 4,
  optId: 1 << 7,
  txSched: 1 << 8,
  txAck: 1 << 9,
  optTsonly: 1 << 11,
  /** Linux 6.2: TCP ids count from 0, not from what happens to be unsent. */
  optIdTcp: 1 << 16,
} as const;

/** ICMP errors come to a datagram socket's queue only when they are asked for: ip(7), ipv6(7). */
export function reportErrors({ fd, domain, type }: Connection): void {
  if (type !== socketType.datagram) return;
  if (domain === family.inet) setInt(fd, level.ip, option.ipReceiveErrors, 1);
  if (domain === family.inet6) setInt(fd, level.ipv6, option.ipv6ReceiveErrors, 1);
}

/** A stamp for each send: scheduled, sent, acknowledged (TCP). Throws UNSUPPORTED. */
export function reportTimestamps({ fd, peer }: Connection): void {
  const { txSoftware, software, optId, txSched, txAck, optTsonly, optIdTcp } = stamping;
  const wanted = txSoftware | software | optId | txSched | txAck | optTsonly;
  const set = (flags: number) => setInt(fd, level.socket, option.timestamping, flags);
  if (set(wanted | optIdTcp) === 0) return;
  const errno = -set(wanted);
  if (errno === 0) return;
  const operation = "ask for timestamps on";
  throw new ZcError({ code: "UNSUPPORTED", operation, subject: peer, errno });
}
