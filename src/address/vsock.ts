/** CID:PORT, vsock(7). */
import { parseNumber, splitPort, type TransportGrammar } from "./grammar.ts";

export interface VsockAddress {
  readonly transport: "vsock";
  readonly cid: number;
  /** 0 asks for a free one. */
  readonly port: number;
}

/** VMADDR_CID_ANY and VMADDR_PORT_ANY. */
export const vsockAny = 0xffff_ffff;

const cids: ReadonlyMap<string, number> = new Map([
  ["", vsockAny],
  ["any", vsockAny],
  ["hypervisor", 0],
  ["local", 1],
  ["host", 2],
]);

export const vsock: TransportGrammar<VsockAddress> = {
  example: "vsock:host:5000",
  parse(rest, wrong) {
    const [cid, port] = splitPort(rest, "CID:PORT", wrong);
    return {
      transport: "vsock",
      cid: cids.get(cid) ?? parseNumber(cid, "CID", vsockAny, wrong),
      port: port === "any" ? 0 : fromKernelPort(parseNumber(port, "port", vsockAny, wrong)),
    };
  },
  format({ cid, port }) {
    return `${cid === vsockAny ? "any" : cid}:${port}`;
  },
};

/** The kernel's number for a free port, where an address says 0. */
export function toKernelPort(port: number): number {
  return port === 0 ? vsockAny : port;
}

export function fromKernelPort(port: number): number {
  return port === vsockAny ? 0 : port;
}
