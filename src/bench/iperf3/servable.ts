/** What a client may ask of our server, and this kernel can do. */
import { family } from "../../address/sockaddr.ts";
import {
  closeSocket,
  getInt,
  level,
  openSocket,
  option,
  setInt,
  setText,
  socketType,
} from "../../endpoint/socket.ts";
import type { TestParameters } from "./parameters.ts";
import { Refusal } from "./refusal.ts";

/** Throws Refusal. */
export function assertServable(parameters: TestParameters): void {
  if (parameters.protocol === "sctp") throw refused("IEPROTOCOL", "SCTP is not served");
  const fd = openSocket(family.inet, socketType.stream);
  try {
    assertBuffers(fd, parameters);
    assertCongestion(fd, parameters);
  } finally {
    closeSocket(fd);
  }
}

/** The kernel takes too large a buffer for as large as it may be: net.core.wmem_max, socket(7). */
function assertBuffers(fd: number, { socketBuffer }: TestParameters): void {
  if (socketBuffer === 0) return;
  for (const name of [option.sendBuffer, option.receiveBuffer]) {
    setInt(fd, level.socket, name, socketBuffer);
    const given = getInt(fd, level.socket, name) ?? 0;
    if (given < socketBuffer) throw refused("IESETBUF2", `buffers have at most ${given} bytes`);
  }
}

/** Only who sends needs it. */
function assertCongestion(fd: number, { congestion, direction }: TestParameters): void {
  if (congestion === undefined || direction === "forward") return;
  const result = setText(fd, level.tcp, option.tcpCongestion, congestion);
  if (result < 0) throw refused("IESETCONGESTION", `no congestion control ${congestion}`, -result);
}

function refused(name: ConstructorParameters<typeof Refusal>[0], reason: string, errno?: number) {
  return new Refusal(name, { code: "UNSUPPORTED", reason, errno });
}
