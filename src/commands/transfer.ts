/** What `zc send` and `zc recv` share: their options, and how they tell what happened. */
import type { Address } from "../address/index.ts";
import { parseAddress } from "../address/index.ts";
import { painter } from "../color.ts";
import { type OptionSpecs, type OptionValues, oneOf } from "../command.ts";
import { usageError, ZcError } from "../errors.ts";
import { printNote } from "../print.ts";
import { defaultStyle, progressStyles, showProgress } from "../progress/progress.ts";
import { interruptible } from "../signals.ts";
import { describeSummary } from "../transfer/describe.ts";
import type { TransferOptions } from "../transfer/options.ts";
import type { Summary } from "../transfer/summary.ts";
import { parseCount, parseDuration, parseRate, parseSize } from "../units.ts";

const roleOptions = {
  listen: { flag: "--listen", text: "wait for the peer to connect" },
  connect: { flag: "--connect", text: "connect to the peer" },
} as const satisfies OptionSpecs;

const socketOptions = {
  timeout: {
    flag: "--timeout <time>",
    text: "give up when nothing moves for so long",
    parse: positive(parseDuration),
  },
  connectTimeout: {
    flag: "--connect-timeout <time>",
    text: "give up when no connection comes about",
    parse: positive(parseDuration),
  },
  retry: {
    flag: "--retry <time>",
    text: "keep trying to connect for so long",
    parse: parseDuration,
  },
  congestion: {
    flag: "--congestion <name>",
    text: "TCP congestion control",
    parse: String,
  },
  mss: {
    flag: "--mss <bytes>",
    text: "TCP maximum segment size",
    parse: parseMss,
  },
  sndbuf: {
    flag: "--sndbuf <size>",
    text: "socket send buffer",
    parse: positive(parseSize),
  },
  rcvbuf: {
    flag: "--rcvbuf <size>",
    text: "socket receive buffer",
    parse: positive(parseSize),
  },
} as const satisfies OptionSpecs;

/** How the two ends meet. */
export const meetOptions = { ...roleOptions, ...socketOptions } as const;

/** How they meet, and how much goes over at once. */
export const linkOptions = {
  ...roleOptions,
  chunk: {
    flag: "--chunk <size>",
    text: "bytes a call (chosen and adapted)",
    parse: parseChunk,
  },
  depth: {
    flag: "--depth <n>",
    text: "calls in flight, 2 to 256",
    parse: parseDepth,
  },
  bytes: {
    flag: "--bytes <size>",
    text: "stop after so many bytes",
    parse: parseSize,
  },
  rate: {
    flag: "--rate <rate>",
    text: "limit: 100M a second, or 1gbit",
    parse: positive(parseRate),
  },
  ...socketOptions,
} as const satisfies OptionSpecs;

export const transferOptions = {
  ...linkOptions,
  checksum: { flag: "--checksum", text: "print the content's xxh3" },
  progress: {
    flag: "--progress <style>",
    text: "bar, plain lines, or none (default: a bar on a terminal)",
    parse: oneOf(progressStyles),
  },
  json: {
    flag: "--json",
    text: "the summary as one JSON object, on the last line",
  },
  quiet: {
    flag: "-q, --quiet",
    text: "print nothing but errors and what was asked for",
  },
  verbose: { flag: "-v, --verbose", text: "say what was chosen, and why" },
  noColor: { flag: "--no-color", text: "no colours" },
} as const satisfies OptionSpecs;

type Values = OptionValues<typeof transferOptions>;

const chunkMin = 4096;
const chunkMax = 2 ** 30;

/** Where 0 would mean something else than it says. */
function positive(parse: (text: string, name: string) => number) {
  return (text: string, name: string): number => {
    const value = parse(text, name);
    if (value === 0) throw usageError(name, "it cannot be 0", "leave it out for no limit");
    return value;
  };
}

function parseChunk(text: string, name: string): number {
  const chunk = parseSize(text, name);
  if (chunk < chunkMin || chunk > chunkMax)
    throw usageError(name, `${text} is not within 4K and 1G`);
  return chunk;
}

function parseDepth(text: string, name: string): number {
  return parseCount(text, name, { min: 2, max: 256 });
}

function parseMss(text: string, name: string): number {
  return parseCount(text, name, { min: 88, max: 65495 });
}

/** How a command's run ends up on the terminal. */
export interface Telling {
  readonly direction: "send" | "receive";
  /** Where `--json` and `--checksum` go: not to standard output when that carries the data. */
  readonly printResult: (text: string) => void;
}

/** One transfer: runs it, shows it, tells its end. Returns the exit code. */
export async function runTransfer(
  address: string,
  values: Values,
  telling: Telling,
  /** What it resolves with is told; of several the action tells each. */
  action: (options: TransferOptions) => Promise<Summary | undefined>,
): Promise<number> {
  const parsed = parseAddress(address);
  return interruptible(async (signal) => {
    using display = showTransfer(values, telling.direction);
    try {
      const link = toLink(parsed, values, signal, !values.quiet);
      const { checksum } = values;
      const summary = await action({ ...link, checksum, onStart: display.start });
      display.end();
      if (summary) tellSummary(summary, values, telling);
      return 0;
    } catch (error) {
      display.end();
      if (values.json && error instanceof ZcError) {
        printNote(error.toLine());
        telling.printResult(JSON.stringify({ error: error.toJSON() }));
        return error.exitCode;
      }
      throw error;
    }
  });
}

export function tellSummary(summary: Summary, values: Values, telling: Telling): void {
  if (values.json) {
    telling.printResult(JSON.stringify(summary));
    return;
  }
  const { checksum, ...rest } = summary;
  if (!values.quiet) {
    if (values.verbose) for (const reason of summary.reasons) printNote(`zc: ${reason}`);
    for (const line of describeSummary(telling.direction, rest)) printNote(`zc: ${line}`);
  }
  if (values.checksum && checksum !== undefined) telling.printResult(checksum);
}

/** An error that ends one of several connections, not the command. */
export function tellError(error: ZcError, values: Values, telling: Telling): void {
  const paint = painter("note", !values.noColor);
  printNote(paint("red", error.toLine()));
  if (values.json) telling.printResult(JSON.stringify({ error: error.toJSON() }));
}

interface Display extends Disposable {
  readonly start: NonNullable<TransferOptions["onStart"]>;
  readonly end: () => void;
}

function showTransfer(values: Values, direction: "send" | "receive"): Display {
  const style = values.progress ?? defaultStyle(values.quiet);
  let shown: Disposable | undefined;
  const end = () => {
    shown?.[Symbol.dispose]();
    shown = undefined;
  };
  return {
    start: (live) => {
      end();
      if (values.verbose)
        printNote(`zc: connected, ${direction === "send" ? "to" : "from"} ${live.peer}`);
      shown = showProgress(live, style);
    },
    end,
    [Symbol.dispose]: end,
  };
}

/** What `linkOptions` say. Notes where it listens, unless it shall be quiet. */
export function toLink(
  address: Address,
  values: OptionValues<typeof linkOptions>,
  signal: AbortSignal,
  notes: boolean,
): TransferOptions {
  const { chunk, depth, bytes, rate } = values;
  return { ...toMeeting(address, values, signal, notes), chunk, depth, bytes, rate };
}

/** What `meetOptions` say; likewise. */
export function toMeeting(
  address: Address,
  values: OptionValues<typeof meetOptions>,
  signal: AbortSignal,
  notes: boolean,
): TransferOptions {
  if (values.listen && values.connect)
    throw usageError("--listen and --connect", "one of them, not both");
  const role = values.listen ? "listen" : values.connect ? "connect" : undefined;
  const { congestion, mss, sndbuf, rcvbuf } = values;
  return {
    address,
    role,
    timeoutMs: values.timeout,
    connectTimeoutMs: values.connectTimeout,
    retryMs: values.retry,
    settings: { congestion, mss, sndbuf, rcvbuf },
    signal,
    onListening: (where) => {
      if (notes) printNote(`zc: listening on ${where}`);
    },
  };
}
