/** What `zc vfio save` and `zc vfio resume` share: their options, and how they tell what happens. */
import type { Address } from "../../address/index.ts";
import { type OptionValues, oneOf } from "../../command.ts";
import { printable, usageError } from "../../errors.ts";
import { printNote } from "../../print.ts";
import {
  defaultStyle,
  type ProgressDisplay,
  progressStyles,
  showProgress,
} from "../../progress/progress.ts";
import { eitherSignal } from "../../run-job.ts";
import { watchIdle } from "../../transfer/idle.ts";
import type { TransferOptions } from "../../transfer/options.ts";
import { parseDuration } from "../../units.ts";
import { dataTimeoutMsDefault } from "../../vfio/device.ts";
import type { OpenOptions } from "../../vfio/open.ts";
import type { OnRecover, Recovery } from "../../vfio/recover.ts";
import { runJson } from "../run-json.ts";
import { meetOptions, toMeeting } from "../transfer.ts";

export const movingOptions = {
  run: { flag: "--run", text: "let it run afterwards; else it rests in STOP" },
  ...meetOptions,
  timeout: {
    ...meetOptions.timeout,
    text: `give up when nothing moves for so long (${dataTimeoutMsDefault / 1000}s for what a vfio-user device owes)`,
  },
  progress: {
    flag: "--progress <style>",
    text: "bar, plain lines, or none (default: a bar on a terminal)",
    parse: oneOf(progressStyles),
  },
  json: { flag: "--json", text: "the summary as one JSON object, on the last line" },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors and what was asked for" },
} as const;

export const downtimeMsDefault = 300;

/** When a device that runs is stopped. */
export const stopOptions = {
  noPreCopy: { flag: "--no-pre-copy", text: "stop it at once, even if it can give a part before" },
  downtime: {
    flag: "--downtime <time>",
    text: `how long the rest may take, for it to be stopped (${downtimeMsDefault}ms)`,
    parse: parseDuration,
  },
  deadline: {
    flag: "--deadline <time>",
    text: "stop it so long after the start, whatever is left",
    parse: parseDuration,
  },
} as const;

/** Throws USAGE. */
export function assertSensibleStop({
  noPreCopy,
  downtime,
  deadline,
}: OptionValues<typeof stopOptions>): void {
  if (noPreCopy && (downtime !== undefined || deadline !== undefined))
    throw usageError("--downtime and --deadline", "they are for a pre-copy");
}

type Values = OptionValues<typeof movingOptions>;

/** A device's state that is under way, as the command sees it. */
export interface Moving {
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  /** From now on --timeout counts: the two ends have met. */
  readonly watch: () => Disposable;
  readonly onProgress: (bytes: number) => void;
  readonly onRecover: OnRecover;
  readonly onRecovered: (recovery: Recovery) => void;
  readonly device: OpenOptions;
  readonly meetPeer: (address: Address) => TransferOptions;
}

/** Runs it, shows it, and tells how it ends. `printSummary`: where the JSON goes. */
export function runMoving(
  name: string,
  values: Values,
  printSummary: (text: string) => void,
  action: (moving: Moving) => Promise<object>,
): Promise<number> {
  let rest: Recovery | undefined;
  const beside = () => (rest === undefined ? {} : { device: rest });
  const run = async (interrupted: AbortSignal): Promise<number> => {
    const counters = { bytes: 0 };
    const style = values.progress ?? defaultStyle(values.quiet);
    using display = showProgress({ total: undefined, counters }, style);
    const note = noteBeside(display, values.quiet);
    const stop = new AbortController();
    const signal = eitherSignal(stop.signal, interrupted);
    const summary = await action({
      ...{ signal, note },
      watch: () =>
        watchIdle({ activity: () => counters.bytes, idleMs: values.timeout, peer: name, stop }),
      onProgress: (bytes) => {
        counters.bytes = bytes;
      },
      onRecover: ({ found, to }) => {
        display.erase();
        const way = to === "reset" ? "resetting it, which loses what it holds" : `going to ${to}`;
        printNote(printable(`zc: ${name} is in ${found}: ${way}`));
      },
      onRecovered: (recovery) => {
        rest = recovery;
        display.erase();
        printNote(printable(`zc: ${name} ${restText(recovery)}`));
      },
      device: { dataTimeoutMs: values.timeout },
      meetPeer: (address) => toMeeting(address, values, signal, !values.quiet),
    });
    display[Symbol.dispose]();
    if (values.json) printSummary(JSON.stringify(summary));
    return 0;
  };
  return runJson(values.json, run, { print: printSummary, beside });
}

function noteBeside(display: ProgressDisplay, isQuiet: boolean): (text: string) => void {
  return (text) => {
    if (isQuiet) return;
    display.erase();
    printNote(printable(`zc: ${text}`));
  };
}

const actions: Record<Recovery["action"], string> = {
  unwound: "and lost nothing",
  reset: "and was reset",
  left: "and was left there",
};

/** "rests in RUNNING, and lost nothing". */
export function restText({ state, action, reason }: Recovery): string {
  const where = state === undefined ? "is in a state that it does not tell" : `rests in ${state}`;
  return `${where}, ${actions[action]}${reason === undefined ? "" : `: ${reason}`}`;
}
