/** TCP: HOST:PORT. */
import { type HostPortAddress, hostPort } from "./host-port.ts";

export type TcpAddress = HostPortAddress<"tcp">;

export const tcp = hostPort("tcp");
