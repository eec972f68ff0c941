/** struct sockaddr as bytes: ip(7), ipv6(7), unix(7), vsock(7). */
import { printable, usageError } from "../errors.ts";
import { formatAddress } from "./index.ts";
import { formatIp, parseIp } from "./ip.ts";
import { assertSocketPath, unix } from "./unix.ts";
import { fromKernelPort, toKernelPort, vsockAny } from "./vsock.ts";

/** AF_*: the same on every architecture. */
export const family = { unix: 1, inet: 2, inet6: 10, vsock: 40 } as const;

export type SocketName =
  | { readonly family: "inet"; readonly address: string; readonly port: number }
  | {
      readonly family: "inet6";
      readonly address: string;
      readonly port: number;
      /** The interface's index, of a link-local address; otherwise 0. */
      readonly scopeId: number;
    }
  /** An empty path that is not abstract: a socket without a name. */
  | { readonly family: "unix"; readonly path: string; readonly abstract: boolean }
  | { readonly family: "vsock"; readonly cid: number; readonly port: number }
  | { readonly family: "unknown"; readonly number: number };

interface InetName {
  readonly address: string;
  readonly port: number;
  readonly scopeId?: number;
}

interface UnixName {
  readonly path: string;
  readonly abstract: boolean;
}

/** `address` without a zone: its interface's index is `scopeId`. Throws USAGE. */
export function encodeInet({ address, port, scopeId = 0 }: InetName): Uint8Array {
  const ip = parseIp(address);
  if (ip === undefined) {
    throw usageError(`"${address}"`, "not an IP address", "for example 192.0.2.1 or 2001:db8::1");
  }
  assertWithin("port", port, 0xffff);
  assertWithin("scope", scopeId, 0xffff_ffff);
  const isIpv4 = ip.length === 4;
  const { bytes, view } = sockaddr(isIpv4 ? inetSize : inet6Size);
  view.setUint16(0, isIpv4 ? family.inet : family.inet6, hostOrder);
  view.setUint16(2, port);
  bytes.set(ip, isIpv4 ? 4 : 8);
  if (!isIpv4) view.setUint32(24, scopeId, hostOrder);
  return bytes;
}

/** A NUL ends a path, and begins an abstract name. Throws USAGE. */
export function encodeUnix({ path, abstract }: UnixName): Uint8Array {
  const address = formatAddress({ transport: "unix", path, abstract });
  assertSocketPath(path, (why) => usageError(address, why, `for example ${unix.example}`));
  const text = new TextEncoder().encode(path);
  const { bytes, view } = sockaddr(pathOffset + text.length + 1);
  view.setUint16(0, family.unix, hostOrder);
  bytes.set(text, pathOffset + (abstract ? 1 : 0));
  return bytes;
}

/** Port 0 asks for a free one. Throws USAGE. */
export function encodeVsock({ cid, port }: { cid: number; port: number }): Uint8Array {
  assertWithin("CID", cid, vsockAny);
  assertWithin("port", port, vsockAny);
  const { bytes, view } = sockaddr(vsockSize);
  view.setUint16(0, family.vsock, hostOrder);
  view.setUint32(4, toKernelPort(port), hostOrder);
  view.setUint32(8, cid, hostOrder);
  return bytes;
}

/** Of the length that the kernel gave. What is too short for its family is unknown. */
export function decodeSockaddr(bytes: Uint8Array): SocketName {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = bytes.length < pathOffset ? 0 : view.getUint16(0, hostOrder);
  if (number === family.unix) return { family: "unix", ...decodePath(bytes.subarray(pathOffset)) };
  if (number === family.inet && bytes.length >= inetSize) {
    return { family: "inet", address: formatIp(bytes.subarray(4, 8)), port: view.getUint16(2) };
  }
  if (number === family.inet6 && bytes.length >= inet6Size) {
    return {
      family: "inet6",
      address: formatIp(bytes.subarray(8, 24)),
      port: view.getUint16(2),
      scopeId: view.getUint32(24, hostOrder),
    };
  }
  if (number === family.vsock && bytes.length >= vsockSize) {
    const port = fromKernelPort(view.getUint32(4, hostOrder));
    return { family: "vsock", cid: view.getUint32(8, hostOrder), port };
  }
  return { family: "unknown", number };
}

/** In the grammar of addresses, control characters escaped. A socket without a name is "unix:". */
export function formatSocketName(name: SocketName, inet: "tcp" | "udp"): string {
  switch (name.family) {
    case "inet":
      return formatAddress({ transport: inet, host: name.address, port: name.port });
    case "inet6": {
      const zone = name.scopeId === 0 ? "" : `%${name.scopeId}`;
      return formatAddress({ transport: inet, host: name.address + zone, port: name.port });
    }
    case "unix":
      return printable(formatAddress({ ...name, transport: "unix" }));
    case "vsock":
      return formatAddress({ ...name, transport: "vsock" });
    case "unknown":
      return `unknown:${name.number}`;
  }
}

/** Every Linux that Bun runs on is little-endian; ports and IP addresses are not. */
const hostOrder = true;
const inetSize = 16;
const inet6Size = 28;
const vsockSize = 16;
/** offsetof(struct sockaddr_un, sun_path) */
const pathOffset = 2;

function sockaddr(size: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

function decodePath(sunPath: Uint8Array): { path: string; abstract: boolean } {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  if (sunPath[0] === 0) return { path: decoder.decode(sunPath.subarray(1)), abstract: true };
  const end = sunPath.indexOf(0);
  const path = end === -1 ? sunPath : sunPath.subarray(0, end);
  return { path: decoder.decode(path), abstract: false };
}

function assertWithin(part: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw usageError(`${part} ${value}`, `not a number from 0 to ${max}`);
}
