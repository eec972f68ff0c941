/** What every form of `zc bench` that measures can be told, and how it runs and tells its result. */
import { type Address, parseAddress } from "../../address/index.ts";
import { type BenchOptions, bench } from "../../bench/bench.ts";
import { limits } from "../../bench/messages.ts";
import { showBenchProgress } from "../../bench/progress.ts";
import { toCsv } from "../../bench/report/csv.ts";
import { toHtml } from "../../bench/report/html.ts";
import { toMarkdown } from "../../bench/report/markdown.ts";
import type { TextOptions } from "../../bench/report/text.ts";
import type { BenchResult } from "../../bench/result.ts";
import { verdictsOf } from "../../bench/verdict.ts";
import { painter } from "../../color.ts";
import { type OptionSpecs, type OptionValues, oneOf } from "../../command.ts";
import { writeFully } from "../../endpoint/read.ts";
import { errnoOf, usageError, ZcError } from "../../errors.ts";
import { printNote, printResult, resultColumns } from "../../print.ts";
import { defaultStyle, progressStyles } from "../../progress/progress.ts";
import { Interrupted, interruptible } from "../../signals.ts";
import { type Output, openOutput } from "../../transfer/output.ts";
import { receiveModes, sendModes } from "../../transfer/plan.ts";
import { pageSize, parseCount, parseDuration, parseSize } from "../../units.ts";
import { linkOptions } from "../transfer.ts";

const repeatDefault = 5;

export const measureOptions = {
  modes: {
    flag: "--modes <list>",
    text: `how it is sent, of ${sendModes.join(",")}`,
    parse: listOf(oneOf(sendModes)),
  },
  rxModes: {
    flag: "--rx-modes <list>",
    text: `how it is received, of ${receiveModes.join(",")} (copy)`,
    parse: listOf(oneOf(receiveModes)),
  },
  sizes: {
    flag: "--sizes <list>",
    text: "bytes a call of the sender: 32K,1M",
    parse: listOf(parseSendSize),
  },
  pages: {
    flag: "--pages <list>",
    text: "the same in pages of 4 KiB: 8,256",
    parse: listOf((text, name) => parseCount(text, name, { min: 1, max: 2 ** 18 }) * pageSize),
  },
  bytes: { flag: "--bytes <size>", text: "bytes of each run", parse: sizeUpTo(limits.bytes) },
  time: {
    flag: "--time <time>",
    text: "time of each run (up to 1 s, so that all takes about a minute)",
    parse: parseTime,
  },
  repeat: {
    flag: "--repeat <n>",
    text: `rounds, 1 to 50 (${repeatDefault})`,
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: 50 }),
  },
  streams: {
    flag: "--streams <n>",
    text: "connections at once, 1 to 128 (1)",
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: 128 }),
  },
  latency: {
    flag: "--latency",
    text: "measure how long requests of each size take, not how many can be",
  },
  requests: {
    flag: "--requests <n>",
    text: "how many a second (1000, fewer of large ones)",
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: 1_000_000 }),
  },
  source: {
    flag: "--source <size>",
    text: "memory to send from, over and over (4 times the last-level cache)",
    parse: sizeUpTo(limits.bytes),
  },
  touch: { flag: "--touch", text: "write to the memory before each send" },
  misalign: {
    flag: "--misalign <bytes>",
    text: "begin each send so far off a page's begin (0)",
    parse: (text: string, name: string) => parseCount(text, name, { max: pageSize - 1 }),
  },
  hugePages: { flag: "--huge-pages", text: "send from huge pages" },
  cpu: { flag: "--cpu <tx,rx>", text: "processors to bind the two ends to", parse: parseCpus },
  mss: linkOptions.mss,
  sndbuf: { flag: "--sndbuf <size>", text: "socket send buffer", parse: sizeUpTo(limits.buffer) },
  rcvbuf: {
    flag: "--rcvbuf <size>",
    text: "socket receive buffer",
    parse: sizeUpTo(limits.buffer),
  },
  retry: {
    flag: "--retry <time>",
    text: "keep trying to connect for so long",
    parse: parseDuration,
  },
  json: { flag: "--json", text: "the result as one JSON object" },
  csv: { flag: "--csv", text: "the result as CSV, a row a run" },
  markdown: { flag: "--markdown", text: "the result as Markdown" },
  html: { flag: "--html <file>", text: "write a page with plots, too", parse: parseFile },
  progress: {
    flag: "--progress <style>",
    text: "bar, plain lines, or none (default: a bar on a terminal)",
    parse: oneOf(progressStyles),
  },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors and the result" },
  noColor: { flag: "--no-color", text: "no colours" },
} as const satisfies OptionSpecs;

export type MeasureValues = OptionValues<typeof measureOptions>;

/** What a form of the command measures where nothing else is said. */
export type MeasureDefaults = Pick<BenchOptions, "transports" | "modes" | "sizes">;

/** Throws USAGE. */
export function toBenchOptions(
  address: string | undefined,
  values: MeasureValues,
  defaults: MeasureDefaults,
): BenchOptions {
  const { modes, rxModes, sizes, pages, bytes, time, cpu, json, csv, markdown } = values;
  atMostOne({ "--sizes": sizes, "--pages": pages });
  atMostOne({ "--bytes": bytes, "--time": time });
  atMostOne({
    "--json": json || undefined,
    "--csv": csv || undefined,
    "--markdown": markdown || undefined,
  });
  const { touch, hugePages, mss, sndbuf, rcvbuf, latency, requests, streams = 1 } = values;
  if (latency && streams > 1) throw usageError("--latency and --streams", "one of them");
  if (requests !== undefined && !latency) throw usageError("--requests", "it is for --latency");
  const target = address === undefined ? undefined : parseTarget(address);
  const transports = target === undefined ? defaults.transports : [target.transport];
  const other = transports.find((transport) => transport !== "tcp");
  if (mss !== undefined && other !== undefined)
    throw usageError("--mss", `it is TCP's, and not for ${other}`, "--transport tcp");
  return {
    address: target,
    transports: defaults.transports,
    modes: modes ?? defaults.modes,
    receiveModes: rxModes ?? ["copy"],
    sizes: sizes ?? pages ?? defaults.sizes,
    bytes,
    timeMs: time,
    retryMs: values.retry,
    repeat: values.repeat ?? repeatDefault,
    streams,
    requestsPerSecond: latency ? (requests ?? "adapted") : undefined,
    sourceBytes: values.source,
    misalign: values.misalign ?? 0,
    ...{ touch, hugePages, cpu, mss, sndbuf, rcvbuf },
  };
}

/** The result for a person; `verdicts` are what it comes to. */
export type ToText = (
  result: BenchResult,
  verdicts: readonly string[],
  options: TextOptions,
) => string;

/** Measures, shows how far it is, and prints the result. Returns the exit code. */
export function runBench(
  options: BenchOptions,
  values: MeasureValues,
  toText: ToText,
): Promise<number> {
  return interruptible(async (signal) => {
    using page = values.html === undefined ? undefined : await openOutput(values.html, {}, signal);
    let isPrinted = false;
    using progress = showBenchProgress(values.progress ?? defaultStyle(values.quiet));
    try {
      const result = await bench({ ...options, signal, onProgress: progress.tell });
      progress[Symbol.dispose]();
      const verdicts = verdictsOf(result);
      const written = page && (await settle(writePage(page, result, verdicts)));
      isPrinted = true;
      printResult(textOf(result, verdicts, values, toText));
      if (written instanceof ZcError) throw written;
      if (result.error !== undefined) throw ZcError.fromJSON(result.error);
      return signal.reason instanceof Interrupted ? signal.reason.exitCode : exitCodeOf(result);
    } catch (error) {
      if (isPrinted || !values.json || !(error instanceof ZcError)) throw error;
      printNote(error.toLine());
      printResult(JSON.stringify({ error: error.toJSON() }));
      return error.exitCode;
    }
  });
}

/** What goes to standard output. */
function textOf(
  result: BenchResult,
  verdicts: readonly string[],
  values: MeasureValues,
  toText: ToText,
): string {
  if (values.json) return JSON.stringify(result);
  if (values.csv) return toCsv(result).trimEnd();
  if (values.markdown) return toMarkdown(result, verdicts).trimEnd();
  const paint = painter("result", !values.noColor);
  return toText(result, verdicts, { paint, width: resultColumns() });
}

/** The result is told whether or not its page can be written. */
async function settle(action: Promise<void>): Promise<ZcError | undefined> {
  try {
    await action;
    return undefined;
  } catch (error) {
    if (error instanceof ZcError) return error;
    throw error;
  }
}

/** Throws WRITE_SINK. */
async function writePage(
  output: Output,
  result: BenchResult,
  verdicts: readonly string[],
): Promise<void> {
  const { name, descriptor } = output;
  const page = Buffer.from(await toHtml(result, verdicts));
  try {
    await writeFully(descriptor.fd, page, {});
  } catch (error) {
    const errno = errnoOf(error);
    throw new ZcError({ code: "WRITE_SINK", operation: "write", subject: name, errno });
  }
  output.commit();
}

/** Nothing at all could be measured: then it is an error, the first cell's. */
function exitCodeOf({ cells }: BenchResult): number {
  if (cells.some(({ runs }) => runs.length > 0)) return 0;
  const [error] = cells.flatMap(({ error }) => (error === undefined ? [] : [error]));
  return error === undefined ? 0 : ZcError.fromJSON(error).exitCode;
}

function parseTarget(text: string): Address {
  const address = parseAddress(text);
  if (address.transport !== "fd") return address;
  throw usageError(text, "a benchmark makes connections of its own");
}

function atMostOne(values: Readonly<Record<string, unknown>>): void {
  const given = Object.values(values).filter((value) => value !== undefined);
  if (given.length > 1) throw usageError(Object.keys(values).join(" and "), "one of them");
}

export function listOf<T>(parseItem: (text: string, name: string) => T) {
  return (text: string, name: string): readonly T[] => {
    const items = text.split(",").map((item) => parseItem(item, name));
    return [...new Set(items)];
  };
}

function parseFile(text: string, name: string): string {
  if (text === "-") throw usageError(name, "standard output has the result: it needs a file");
  return text;
}

function parseSendSize(text: string, name: string): number {
  const size = parseSize(text, name);
  if (size >= 1 && size <= 2 ** 30) return size;
  throw usageError(name, `${text} is not within 1 and 1G`);
}

function sizeUpTo(max: number) {
  return (text: string, name: string): number => {
    const size = parseSize(text, name);
    if (size >= 1 && size <= max) return size;
    throw usageError(name, `${text} is not within 1 and ${max} bytes`);
  };
}

const timeMsMax = 3_600_000;

function parseTime(text: string, name: string): number {
  const time = parseDuration(text, name);
  if (time >= 10 && time <= timeMsMax) return time;
  throw usageError(name, `${text} is not within 10ms and 1h`);
}

function parseCpus(text: string, name: string): readonly [number, number] {
  const [sender, receiver, ...more] = text
    .split(",")
    .map((item) => parseCount(item, name, { max: limits.processor }));
  if (sender !== undefined && receiver !== undefined && more.length === 0)
    return [sender, receiver];
  throw usageError(name, "two processors: the sender's, and the receiver's", "--cpu 0,1");
}
