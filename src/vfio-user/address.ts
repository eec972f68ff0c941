/** What the user calls a vfio-user server: a socket's path, or the address of one. */
import { type Address, parseAddress } from "../address/index.ts";

/** "/run/device.sock", "unix:/run/device.sock", "unix:@name", "fd:3". Throws USAGE. */
export function parseServer(text: string): Address {
  return parseAddress(/^(unix|fd):/.test(text) ? text : `unix:${text}`);
}
