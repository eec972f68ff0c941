/** UDP: HOST:PORT. */
import { type HostPortAddress, hostPort } from "./host-port.ts";

export type UdpAddress = HostPortAddress<"udp">;

export const udp = hostPort("udp");
