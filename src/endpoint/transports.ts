/** How each transport's addresses become sockets: one entry a transport. */
import type { Address } from "../address/index.ts";
import { encodeInet, encodeUnix, encodeVsock, family } from "../address/sockaddr.ts";
import { vsockUdsListenPath } from "../address/vsock-uds.ts";
import { type HostAddress, resolveHost } from "./resolve.ts";
import type { SettingsOwner } from "./settings.ts";
import { socketType } from "./socket.ts";
import { greetVsockMultiplexer } from "./vsock-multiplexer.ts";

/** What socket(2), bind(2) and connect(2) need. */
export interface Candidate {
  readonly domain: number;
  readonly sockaddr: Uint8Array;
}

export interface Transport<A extends Address> {
  readonly type: (typeof socketType)[keyof typeof socketType];
  /** Whose socket settings apply. */
  readonly settings: SettingsOwner;
  /** Sockets to try, in order. */
  readonly toConnect: (address: A) => Promise<readonly Candidate[]>;
  readonly toListen: (address: A) => Promise<readonly Candidate[]>;
  /** The file that listening makes, and that goes when it ends. */
  readonly socketFile?: (address: A) => string | undefined;
  /** What has to be said before the first byte. */
  readonly greet?: (fd: number, address: A, limits: GreetLimits) => Promise<void>;
}

export interface GreetLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

type AddressOf<T extends Address["transport"]> = Extract<Address, { transport: T }>;
/** An inherited descriptor is a socket already. */
export type OpenableAddress = Exclude<Address, { transport: "fd" }>;

const transports: {
  readonly [T in OpenableAddress["transport"]]: Transport<AddressOf<T>>;
} = {
  tcp: {
    type: socketType.stream,
    settings: "tcp",
    toConnect: async ({ host, port }) => inet(await resolveHost(host || "localhost"), port),
    toListen: async ({ host, port }) => inet(await resolveHost(listenHost(host)), port),
  },
  udp: {
    type: socketType.datagram,
    settings: "udp",
    toConnect: async ({ host, port }) => inet(await resolveHost(host || "localhost"), port),
    toListen: async ({ host, port }) => inet(await resolveHost(listenHost(host)), port),
  },
  unix: {
    type: socketType.stream,
    settings: "unix",
    toConnect: async (address) => [unix(address)],
    toListen: async (address) => [unix(address)],
    socketFile: ({ path, abstract }) => (abstract ? undefined : path),
  },
  vsock: {
    type: socketType.stream,
    settings: "vsock",
    toConnect: async (address) => [vsock(address)],
    toListen: async (address) => [vsock(address)],
  },
  "vsock-uds": {
    type: socketType.stream,
    settings: "unix",
    toConnect: async ({ path }) => [unix({ path, abstract: false })],
    toListen: async (address) => [unix({ path: vsockUdsListenPath(address), abstract: false })],
    socketFile: (address) => vsockUdsListenPath(address),
    greet: (fd, { port }, limits) => greetVsockMultiplexer(fd, port, limits),
  },
};

export function transportOf<A extends OpenableAddress>(address: A): Transport<A> {
  return transports[address.transport] as unknown as Transport<A>;
}

/** Nothing said means loopback: all interfaces only when they are asked for. */
function listenHost(host: string): string {
  if (host === "*") return "0.0.0.0";
  return host || "127.0.0.1";
}

function inet(addresses: readonly HostAddress[], port: number): Candidate[] {
  return addresses.map((host) => ({
    domain: host.address.includes(":") ? family.inet6 : family.inet,
    sockaddr: encodeInet({ ...host, port }),
  }));
}

function unix(address: { path: string; abstract: boolean }): Candidate {
  return { domain: family.unix, sockaddr: encodeUnix(address) };
}

function vsock(address: { cid: number; port: number }): Candidate {
  return { domain: family.vsock, sockaddr: encodeVsock(address) };
}
