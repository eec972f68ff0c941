/** Names to addresses, through the system's resolver (getaddrinfo(3)). */
import { isIP } from "node:net";
import { ZcError } from "../errors.ts";

/** Every address of `host`, in the resolver's order of preference. Throws CONNECT. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  if (host === "localhost") return ["127.0.0.1", "::1"];
  const { lookup } = await import("node:dns/promises");
  try {
    const found = await lookup(host, { all: true, order: "verbatim" });
    return found.map(({ address }) => address);
  } catch (error) {
    throw new ZcError({
      code: "CONNECT",
      operation: "resolve",
      subject: host,
      reason: error instanceof Error && "code" in error ? String(error.code) : String(error),
      hint: "no such name, or no resolver that knows it",
    });
  }
}
