/** Shows a running transfer on standard error, until it is disposed of. */
import { isTerminal, printNote, printPartial } from "../print.ts";
import { type Progress, progressBar, progressLine } from "./line.ts";

export const progressStyles = ["bar", "plain", "none"] as const;
export type ProgressStyle = (typeof progressStyles)[number];

const barEveryMs = 100;
const plainEveryMs = 1000;
const eraseLine = "\r\u001b[K";

/** What to show when nothing was asked for: a bar on a terminal, else nothing. */
export function defaultStyle(quiet: boolean): ProgressStyle {
  return !quiet && isTerminal.note() ? "bar" : "none";
}

/** What can be shown: a LiveTransfer, or anything else that moves bytes. */
export interface Moving {
  /** Bytes that there will be, where that is known. */
  readonly total: number | undefined;
  readonly counters: { readonly bytes: number };
}

export interface ProgressDisplay extends Disposable {
  /** Takes the bar away, until it is next due, so that something else can be printed. */
  readonly erase: () => void;
}

export function showProgress(live: Moving, style: ProgressStyle): ProgressDisplay {
  const measure = startMeter(live);
  return showStatus(style, () => (style === "bar" ? progressBar : progressLine)(measure()));
}

/** Shows a line that changes: over and over the same, or with "plain" each below the last. */
export function showStatus(style: ProgressStyle, textOf: () => string): ProgressDisplay {
  if (style === "none") return { erase: () => {}, [Symbol.dispose]: () => {} };
  const show =
    style === "bar" ? () => printPartial(`${eraseLine}${textOf()}`) : () => printNote(textOf());
  const timer = setInterval(show, style === "bar" ? barEveryMs : plainEveryMs);
  const erase = () => {
    if (style === "bar") printPartial(eraseLine);
  };
  return {
    erase,
    [Symbol.dispose]: () => {
      clearInterval(timer);
      erase();
    },
  };
}

function startMeter(live: Moving): () => Progress {
  const begin = performance.now();
  let last = { time: begin, bytes: 0 };
  return () => {
    const time = performance.now();
    const { bytes } = live.counters;
    const rate = (bytes - last.bytes) / Math.max((time - last.time) / 1e3, 1e-3);
    last = { time, bytes };
    return { bytes, total: live.total, seconds: (time - begin) / 1e3, rate };
  };
}
