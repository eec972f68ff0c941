/** What the kernel counts of a TCP connection: TCP_INFO, struct tcp_info in linux/tcp.h. */
import { getBytes, level, option } from "./socket.ts";

const totalRetransmitsAt = 100;

/** Segments sent again so far; undefined where it is no TCP socket. */
export function retransmitsOf(fd: number): number | undefined {
  const info = new Uint8Array(256);
  const length = getBytes(fd, level.tcp, option.tcpInfo, info);
  if (length < totalRetransmitsAt + 4) return undefined;
  return new DataView(info.buffer).getUint32(totalRetransmitsAt, true);
}
