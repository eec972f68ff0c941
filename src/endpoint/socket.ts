/** One socket: opened, named, set and closed through the C library. The caller owns it. */
import { closeSync } from "node:fs";
import { library } from "../../ffi/library.ts";
import { decodeSockaddr, family, formatSocketName, type SocketName } from "../address/sockaddr.ts";

/** Numbers of the kernel's socket interface: the same on every architecture that Bun runs on. */
export const level = { ip: 0, socket: 1, tcp: 6, ipv6: 41, vsock: family.vsock } as const;
export const option = {
  reuseAddress: 2,
  type: 3,
  sendBuffer: 7,
  receiveBuffer: 8,
  linger: 13,
  acceptsConnections: 30,
  sendBufferForce: 32,
  timestamping: 37,
  memoryInfo: 55,
  cookie: 57,
  zerocopy: 60,
  ipReceiveErrors: 11,
  ipv6ReceiveErrors: 25,
  tcpNoDelay: 1,
  tcpMss: 2,
  tcpInfo: 11,
  tcpCongestion: 13,
  vsockBufferSize: 0,
  vsockBufferSizeMax: 2,
} as const;

/** socket(2) */
export const socketType = { stream: 1, datagram: 2 } as const;
const nameCapacity = 128;

/** A new socket of this `socketType`, or -errno. */
export function openSocket(domain: number, type: number): number {
  return library().zc_socket_open(domain, type, 0);
}

export function socketName(fd: number, which: "own" | "peer"): SocketName | undefined {
  const bytes = new Uint8Array(nameCapacity);
  const length = library().zc_socket_name(fd, which === "peer" ? 1 : 0, bytes, bytes.length);
  return length < 0 ? undefined : decodeSockaddr(bytes.subarray(0, length));
}

/** In the address grammar; "?" where the kernel has no name. */
export function socketNameText(fd: number, which: "own" | "peer"): string {
  const name = socketName(fd, which);
  if (name === undefined) return "?";
  const isDatagram = getInt(fd, level.socket, option.type) === socketType.datagram;
  return formatSocketName(name, isDatagram ? "udp" : "tcp");
}

/** Sets an int. Returns 0 or -errno. */
export function setInt(fd: number, atLevel: number, name: number, value: number): number {
  return setBytes(fd, atLevel, name, new Uint8Array(new Int32Array([value]).buffer));
}

/** TCP waits for nothing that could go along: tcp(7), TCP_NODELAY. Others never do. */
export function sendAtOnce({ fd }: { readonly fd: number }): void {
  setInt(fd, level.tcp, option.tcpNoDelay, 1);
}

export function setU64(fd: number, atLevel: number, name: number, value: number): number {
  return setBytes(fd, atLevel, name, new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
}

export function setText(fd: number, atLevel: number, name: number, value: string): number {
  return setBytes(fd, atLevel, name, new TextEncoder().encode(value));
}

function setBytes(fd: number, atLevel: number, name: number, value: Uint8Array): number {
  return library().zc_socket_set(fd, atLevel, name, value, value.length);
}

/** The int, or undefined where the socket has no such option. */
export function getInt(fd: number, atLevel: number, name: number): number | undefined {
  const bytes = new Uint8Array(4);
  const length = library().zc_socket_get(fd, atLevel, name, bytes, bytes.length);
  return length === 4 ? new DataView(bytes.buffer).getInt32(0, true) : undefined;
}

/** Fills `out`. Returns how many bytes, or -errno. */
export function getBytes(fd: number, atLevel: number, name: number, out: Uint8Array): number {
  return library().zc_socket_get(fd, atLevel, name, out, out.length);
}

export function getText(fd: number, atLevel: number, name: number): string | undefined {
  const bytes = new Uint8Array(64);
  const length = library().zc_socket_get(fd, atLevel, name, bytes, bytes.length);
  if (length < 0) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  return text.split("\0")[0];
}

export function closeSocket(fd: number): void {
  closeSync(fd);
}
