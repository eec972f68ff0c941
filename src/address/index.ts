/** The one grammar of addresses: SCHEME:…, SCHEME://…, or HOST:PORT for TCP. */
import { printable, usageError } from "../errors.ts";
import { fd } from "./fd.ts";
import type { TransportGrammar, Wrong } from "./grammar.ts";
import { tcp } from "./tcp.ts";
import { udp } from "./udp.ts";
import { unix } from "./unix.ts";
import { vsock } from "./vsock.ts";
import { vsockUds } from "./vsock-uds.ts";

/** Every transport, by its scheme. */
const grammars = { tcp, unix, vsock, "vsock-uds": vsockUds, udp, fd };

type Transport = keyof typeof grammars;
export type Address = ReturnType<(typeof grammars)[Transport]["parse"]>;

/** Throws USAGE. */
export function parseAddress(text: string): Address {
  const { transport, rest } = split(text);
  const grammar = grammars[transport];
  return grammar.parse(rest, wrongIn(text, grammar.example));
}

/** Whether a text that could be a path too is an address: SCHEME:… of ours, or HOST:PORT. */
export function isAddress(text: string): boolean {
  const [, scheme = ""] = /^([^:]*):/.exec(text) ?? [];
  return isTransport(scheme) || /^[^/]*:\d+$/.test(text);
}

/** In the short form. `parseAddress` gives the same address back. */
export function formatAddress(address: Address): string {
  const grammar: TransportGrammar<Address> = grammars[address.transport];
  const rest = grammar.format(address);
  // A path's own two slashes must not be taken for a URL's.
  return `${address.transport}:${rest.startsWith("//") ? "//" : ""}${rest}`;
}

function split(text: string): { transport: Transport; rest: string } {
  const [, scheme = "", rest = ""] = /^([^:]*):(?:\/\/)?(.*)$/s.exec(text) ?? [];
  if (isTransport(scheme)) return { transport: scheme, rest };
  if (!otherTransport.test(text)) return { transport: "tcp", rest: text };
  const known = Object.keys(grammars).join(", ");
  throw wrongIn(text, tcp.example)(`there is no transport "${scheme}", only ${known}`);
}

/** A word before "://" or before one colon of several, unless an IPv6 address may start with it. */
const otherTransport = /^(?![0-9a-f]{1,4}:)[a-z][a-z0-9+.-]*:(\/\/|.*:)/is;

function isTransport(scheme: string): scheme is Transport {
  return Object.hasOwn(grammars, scheme);
}

function wrongIn(text: string, exampleOfGrammar: string): Wrong {
  return (reason, example = exampleOfGrammar) =>
    usageError(text || '""', printable(reason), `for example ${example}`);
}
