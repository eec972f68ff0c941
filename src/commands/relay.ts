/** zc relay: joins two addresses. */
import { parseAddress } from "../address/index.ts";
import { painter } from "../color.ts";
import { defineCommand, type OptionValues } from "../command.ts";
import { usageError, ZcError } from "../errors.ts";
import { printNote, printResult } from "../print.ts";
import { defaultStyle, type ProgressDisplay, showProgress } from "../progress/progress.ts";
import { describeRelay } from "../relay/describe.ts";
import { maxConnectionsDefault, type RelayOptions, relay, relayAll } from "../relay/relay.ts";
import type { RelaySummary } from "../relay/summary.ts";
import { Traffic } from "../relay/traffic.ts";
import { interruptible } from "../signals.ts";
import { parseCount } from "../units.ts";
import { linkOptions, transferOptions } from "./transfer.ts";

/** Each takes a thread, and seven descriptors. */
const connectionsMax = 10_000;

const { timeout, connectTimeout, retry } = linkOptions;
const { progress, quiet, noColor } = transferOptions;

const options = {
  keepOpen: {
    flag: "--keep-open",
    text: "serve one connection after another, and several at once",
  },
  maxConnections: {
    flag: "--max-connections <n>",
    text: `how many at once (${maxConnectionsDefault}); others wait`,
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: connectionsMax }),
  },
  timeout,
  connectTimeout: { ...connectTimeout, text: "give up when TO does not answer" },
  retry: { ...retry, text: "keep trying to connect to TO for so long" },
  progress,
  json: { flag: "--json", text: "a JSON object a connection" },
  quiet,
  noColor,
} as const;

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  usage: "LISTEN TO",
  text: "Listen on LISTEN, connect to TO, and pass on what either says, as it comes.",
  options,
  examples: [
    "zc relay :5000 unix:/run/service.sock",
    "zc relay unix:/run/guest.sock vsock:3:22 --keep-open",
    "zc relay '*:5000' vsock-uds:/run/vm.vsock:5000 --keep-open --max-connections 8",
  ],
  run: ([from = "", to = ""], values) => {
    const { keepOpen, maxConnections } = values;
    if (maxConnections !== undefined && !keepOpen)
      throw usageError("--max-connections", "without --keep-open there is one");
    const addresses = { listen: parseAddress(from), to: parseAddress(to) };
    return interruptible(async (signal) => {
      const traffic = new Traffic();
      using display = showTraffic(traffic, values);
      const relayOptions: RelayOptions = {
        ...addresses,
        ...{ traffic, signal, onListening: display.onListening },
        timeoutMs: values.timeout,
        connectTimeoutMs: values.connectTimeout,
        retryMs: values.retry,
      };
      try {
        if (keepOpen) return await relayAll({ ...relayOptions, maxConnections }, display.tell);
        const summary = await relay(relayOptions);
        display.tell(summary);
        return summary.error?.exitCode ?? 0;
      } catch (error) {
        if (!values.json || !(error instanceof ZcError)) throw error;
        printNote(error.toLine());
        printResult(JSON.stringify({ error: error.toJSON() }));
        return error.exitCode;
      }
    });
  },
});

interface Display extends Disposable {
  readonly onListening: (address: string) => void;
  readonly tell: (summary: RelaySummary) => void;
}

/** Shows all that passes, and between that how each connection ended. */
function showTraffic(traffic: Traffic, values: Values): Display {
  let shown: ProgressDisplay | undefined;
  return {
    onListening: (where) => {
      if (!values.quiet) printNote(`zc: listening on ${where}`);
      shown = showProgress(traffic, values.progress ?? defaultStyle(values.quiet));
    },
    tell: (summary) => {
      shown?.erase();
      tellRelay(summary, values);
    },
    [Symbol.dispose]: () => shown?.[Symbol.dispose](),
  };
}

function tellRelay(summary: RelaySummary, { json, quiet, noColor }: Values): void {
  const { error, forth, back } = summary;
  if (error !== undefined) printNote(painter("note", !noColor)("red", error.toLine()));
  const isTold = error === undefined || forth.bytes + back.bytes > 0;
  if (json) printResult(JSON.stringify(summary));
  else if (!quiet && isTold) printNote(`zc: ${describeRelay(summary)}`);
}
