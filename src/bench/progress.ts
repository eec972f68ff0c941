/** How far a benchmark is, on standard error. */
import { isTerminal, printNote, printPartial } from "../print.ts";
import type { ProgressStyle } from "../progress/progress.ts";
import { formatRate } from "../units.ts";
import type { BenchProgress } from "./bench.ts";
import { formatExactSize } from "./report/figures.ts";

const eraseLine = "\r\u001b[K";

/** Tells of each run; disposing takes the last line away. */
export function showBenchProgress(
  style: ProgressStyle,
): Disposable & { readonly tell: (progress: BenchProgress) => void } {
  const tell = {
    bar: (progress: BenchProgress) => printPartial(`${eraseLine}${progressText(progress)}`),
    plain: (progress: BenchProgress) => printNote(progressText(progress)),
    none: () => {},
  }[style];
  const erase = () => printPartial(eraseLine);
  return { tell, [Symbol.dispose]: style === "bar" && isTerminal.note() ? erase : () => {} };
}

/** `12/71 tcp sendfile 32 KiB: 4.25 GiB/s` */
function progressText({ done, total, cell, bytesPerSecond }: BenchProgress): string {
  const outcome = bytesPerSecond === undefined ? "cannot run" : formatRate(bytesPerSecond);
  return `${done}/${total} ${cell.transport} ${cell.mode} ${formatExactSize(cell.size)}: ${outcome}`;
}
