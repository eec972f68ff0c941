/** What the commands of a vfio-user client share: how they meet the server, and name its parts. */
import type { OptionSpecs, OptionValues } from "../../command.ts";
import { printable, usageError, ZcError } from "../../errors.ts";
import { type Results, withResults } from "../../results.ts";
import { eitherSignal } from "../../run-job.ts";
import { parseCount, parseDuration, parseSize } from "../../units.ts";
import { pciInterruptNames, pciRegionNames } from "../../vfio/pci.ts";
import { parseServer } from "../../vfio-user/address.ts";
import { type Client, type ClientOptions, connectClient } from "../../vfio-user/client.ts";
import { replyTimeoutMsDefault } from "../../vfio-user/connection.ts";
import { runJson } from "../run-json.ts";

export const serverOptions = {
  replyTimeout: {
    flag: "--reply-timeout <time>",
    text: `give up when a reply takes so long (${replyTimeoutMsDefault / 1000}s)`,
    parse: parseDuration,
  },
  retry: {
    flag: "--retry <time>",
    text: "keep trying to connect for so long",
    parse: parseDuration,
  },
} as const satisfies OptionSpecs;

export const jsonOption = { flag: "--json", text: "one JSON object" } as const;
export const quietOption = {
  flag: "-q, --quiet",
  text: "print nothing but errors and what was asked for",
} as const;

export const bellOption = {
  flag: "--write <what>",
  text: "REGION:OFFSET:HEX, written once all is ready: a doorbell",
  parse: parseBell,
} as const;

type Values = OptionValues<typeof serverOptions>;

/** Connects, acts, and disconnects in order; with --json an error is JSON too. */
export function withClient(
  server: string,
  values: Values & { readonly json?: boolean },
  action: (client: Client, signal: AbortSignal, results: Results) => Promise<number>,
  options: Pick<ClientOptions, "onRefusal"> = {},
): Promise<number> {
  return runJson(values.json === true, (interrupt) =>
    withResults(interrupt, async (results, signal) => {
      await using client = await openClient(server, values, signal, options);
      const gone = new AbortController();
      void client.connection.ended.then((error) => gone.abort(error ?? disconnected(client)));
      return await action(client, eitherSignal(gone.signal, signal), results);
    }),
  );
}

export function openClient(
  server: string,
  { replyTimeout: timeoutMs, retry: retryMs }: Values,
  signal: AbortSignal,
  options: Pick<ClientOptions, "onRefusal"> = {},
): Promise<Client> {
  return connectClient(parseServer(server), { ...options, timeoutMs, retryMs, signal });
}

function disconnected({ peer }: Client): ZcError {
  const reason = "the server has closed the connection";
  return new ZcError({ code: "PEER_RESET", subject: peer, reason });
}

/** A number, or a PCI region's name. Throws USAGE. */
export function parseRegion(text: string): number {
  return parseIndex(text, "REGION", pciRegionNames);
}

/** A number, or the name of a PCI device's kind of interrupt. Throws USAGE. */
export function parseInterrupt(text: string): number {
  return parseIndex(text, "INDEX", pciInterruptNames);
}

function parseIndex(text: string, name: string, names: readonly string[]): number {
  const index = names.indexOf(text);
  if (index >= 0) return index;
  if (/^\d+$/.test(text)) return parseCount(text, name, { max: 0xffff_ffff });
  throw usageError(name, `"${printable(text)}" is no number, and none of ${names.join(", ")}`);
}

/** 64 bits: hexadecimal with 0x, or a size. Throws USAGE. */
export function parseOffset(text: string, name: string): bigint {
  const value = /^0x[0-9a-f]+$/i.test(text) ? BigInt(text) : BigInt(parseSize(text, name));
  if (value >> 64n === 0n) return value;
  throw usageError(name, `"${printable(text)}" has more than 64 bits`);
}

/** "deadbeef", "de ad be ef". Throws USAGE. */
export function parseHex(text: string, name: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, "");
  if (/^([0-9a-f]{2})+$/i.test(digits)) return Uint8Array.fromHex(digits);
  throw usageError(name, `"${printable(text)}" is not bytes in hexadecimal`, "for example 01ff");
}

export interface Bell {
  readonly region: number;
  readonly offset: bigint;
  readonly data: Uint8Array;
}

function parseBell(text: string, name: string): Bell {
  const [region, offset, hex, ...more] = text.split(":");
  if (region === undefined || offset === undefined || hex === undefined || more.length > 0)
    throw usageError(name, `"${printable(text)}" is not REGION:OFFSET:HEX`, "bar0:0:01000000");
  return {
    region: parseRegion(region),
    offset: parseOffset(offset, name),
    data: parseHex(hex, name),
  };
}

/** By a message: a doorbell is no memory. */
export async function ring(client: Client, bell: Bell | undefined, signal: AbortSignal) {
  if (bell === undefined) return;
  await client.regions.write(bell.region, bell.offset, bell.data, { map: false, signal });
}
