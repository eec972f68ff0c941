/** A unix stream socket: a path, or "@NAME" in the abstract namespace, unix(7). */
import type { TransportGrammar, Wrong } from "./grammar.ts";

export interface UnixAddress {
  readonly transport: "unix";
  /** Without the "@" of an abstract name. */
  readonly path: string;
  readonly abstract: boolean;
}

/** Bytes. sun_path has 108: one is the NUL after a path, or before an abstract name. */
const pathSizeMax = 107;

export const unix: TransportGrammar<UnixAddress> = {
  example: "unix:/run/zc.sock",
  parse(rest, wrong) {
    const abstract = rest.startsWith("@");
    const path = abstract ? rest.slice(1) : rest;
    assertSocketPath(path, wrong);
    return { transport: "unix", path, abstract };
  },
  format({ path, abstract }) {
    if (abstract) return `@${path}`;
    return path.startsWith("@") ? `./${path}` : path;
  },
};

/** That a sockaddr_un can hold it. */
export function assertSocketPath(path: string, wrong: Wrong): void {
  const size = new TextEncoder().encode(path).length;
  if (size === 0) throw wrong("the path is empty");
  if (path.includes("\0")) throw wrong("the path contains a NUL");
  if (size > pathSizeMax) throw wrong(`the path has ${size} bytes, more than ${pathSizeMax}`);
}
