/** The data connections of a test that we serve: set as the client asks, and ready to move. */
import type { Connection } from "../../endpoint/connection.ts";
import { applySettings } from "../../endpoint/settings.ts";
import { level, sendAtOnce, setInt, setU64 } from "../../endpoint/socket.ts";
import { SourceMemory } from "../../transfer/memory.ts";
import { openNull } from "../receiver.ts";
import type { StartFlow } from "./flow.ts";
import type { ServedTest } from "./measure.ts";
import type { TestParameters } from "./parameters.ts";
import { receiver, sender } from "./tcp-flow.ts";
import { datagramReceiver, datagramSender } from "./udp-flow.ts";

/** `stack` owns what they need. */
export function startsOf(test: ServedTest, stack: DisposableStack): StartFlow[] {
  const sink = stack.use(openNull());
  const { connections, parameters, mode } = test;
  const { protocol, blockSize: size, skipReceiveCopy, wideCounters: isWide } = parameters;
  return connections.map((connection, index) => {
    const sends = isSender(index, parameters);
    set(connection, parameters, sends);
    if (!sends && protocol === "udp")
      return datagramReceiver(connection, { size, isWide, headersOnly: skipReceiveCopy });
    if (!sends) return receiver(connection, { mode: "copy", size, sink: sink.fd });
    const memory = stack.use(
      new SourceMemory({ size, misalign: 0, touch: false, hugePages: false }),
    );
    const rate = parameters.rate === 0 ? undefined : Math.ceil(parameters.rate / bits);
    if (protocol === "udp")
      return datagramSender(connection, { size, isWide, memory, rate, burst: parameters.burst });
    return sender(connection, { mode, size, memory, rate });
  });
}

/** iperf3's rates are of bits. */
const bits = 8;

/** Of both directions the client's comes first. */
function isSender(index: number, { direction, streams }: TestParameters): boolean {
  if (direction === "bidirectional") return index >= streams;
  return direction === "reverse";
}

/** linux/ip.h, linux/in.h, linux/ipv6.h, asm-generic/socket.h. */
const ipTos = 1;
const ipMtuDiscover = 10;
const ipPmtudiscDo = 2;
const ipv6TrafficClass = 67;
const maxPacingRate = 47;

/** An MSS the client has told already, in its SYN; buffers of datagrams were set before. */
function set({ fd }: Connection, parameters: TestParameters, sends: boolean): void {
  const { protocol, tos, pacingRate, dontFragment } = parameters;
  setInt(fd, level.ip, ipTos, tos);
  setInt(fd, level.ipv6, ipv6TrafficClass, tos);
  if (protocol === "tcp") setTcp(fd, parameters, sends);
  if (!sends) return;
  if (dontFragment) setInt(fd, level.ip, ipMtuDiscover, ipPmtudiscDo);
  if (pacingRate > 0) setU64(fd, level.socket, maxPacingRate, Math.ceil(pacingRate / bits));
}

function setTcp(fd: number, parameters: TestParameters, sends: boolean): void {
  const { socketBuffer, congestion, noDelay } = parameters;
  const buffer = socketBuffer || undefined;
  applySettings(fd, "tcp", { sndbuf: buffer, rcvbuf: buffer });
  if (noDelay) sendAtOnce({ fd });
  if (sends) applySettings(fd, "tcp", { congestion });
}
