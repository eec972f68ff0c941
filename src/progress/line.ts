/** How a transfer's progress reads. Pure. */
import { formatDuration, formatRate, formatSize } from "../units.ts";

export interface Progress {
  readonly bytes: number;
  /** Bytes that there will be, where that is known. */
  readonly total: number | undefined;
  /** Since the start. */
  readonly seconds: number;
  /** Bytes a second, lately. */
  readonly rate: number;
}

const barWidth = 20;
/** Before that an average means nothing, and may be beyond all numbers. */
const secondsMin = 1e-3;

/** `1.2 GiB / 2.0 GiB, 60 %, 3.1 GiB/s, average 3.0 GiB/s, 0.3 s left` */
export function progressLine(progress: Progress): string {
  const { bytes, total, seconds, rate } = progress;
  const average = bytes / Math.max(seconds, secondsMin);
  const rates = [formatRate(rate), `average ${formatRate(average)}`];
  if (total === undefined) return [formatSize(bytes), ...rates].join(", ");
  const left =
    average > 0 ? `${formatDuration((total - bytes) / average)} left` : "no end in sight";
  const share = `${Math.floor(shareOf(bytes, total) * 100)} %`;
  return [`${formatSize(bytes)} / ${formatSize(total)}`, share, ...rates, left].join(", ");
}

/** The line with a bar before it, where the end is known. */
export function progressBar(progress: Progress): string {
  const { bytes, total } = progress;
  if (total === undefined) return progressLine(progress);
  const filled = Math.round(shareOf(bytes, total) * barWidth);
  return `[${"=".repeat(filled).padEnd(barWidth)}] ${progressLine(progress)}`;
}

function shareOf(bytes: number, total: number): number {
  return total > 0 ? Math.min(bytes / total, 1) : 1;
}
