/** Addresses for both ends of a trial on this machine, where nobody else can be. */
import type { Address } from "../address/index.ts";

/** Port 0 is any; CID 1 is this machine, through vsock_loopback. */
const makers = {
  tcp: () => ({ transport: "tcp", host: "127.0.0.1", port: 0 }),
  unix: () => ({ transport: "unix", path: uniqueName(), abstract: true }),
  vsock: () => ({ transport: "vsock", cid: 1, port: 0 }),
  udp: () => ({ transport: "udp", host: "127.0.0.1", port: 0 }),
} as const satisfies Record<string, () => Address>;

export type OwnTransport = keyof typeof makers;
export const ownTransports = Object.keys(makers) as readonly OwnTransport[];

export function ownAddress(transport: OwnTransport): Address {
  return makers[transport]();
}

let names = 0;

function uniqueName(): string {
  names++;
  return `zc-${process.pid}-${names}`;
}
