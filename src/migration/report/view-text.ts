/** A migration that is under way, in a line. Pure. */
import { printable } from "../../errors.ts";
import { formatCount, formatCounted, formatDuration, formatRate, formatSize } from "../../units.ts";
import type { MigrationState } from "./view.ts";

/** `round 3: 98 pages (112 in the one before), 16,676 in all, 12 % again; 1.2 GiB/s` */
export function stateText(state: MigrationState, bytesPerSecond: number): string {
  const { round, pagesOfRound, pagesOfRoundBefore, pages, pagesAgain, channels } = state;
  if (state.ramBytes === 0) return `no RAM yet; ${formatRate(bytesPerSecond)}`;
  const parts = [
    round > 1
      ? `round ${round}: ${formatCounted(pagesOfRound, "page")} (${formatCount(pagesOfRoundBefore)} in the one before)`
      : firstRound(state, bytesPerSecond),
    `${formatCount(pages)} in all, ${formatCount(pagesAgain)} of them again`,
    ...(channels > 0 ? [formatCounted(channels, "channel")] : []),
    ...(state.isPostcopy ? [`postcopy, ${formatCounted(state.requests, "request")}`] : []),
    formatRate(bytesPerSecond),
    ...(state.isBlind ? ["too fast to be seen whole"] : []),
  ];
  return parts.join("; ");
}

function firstRound({ ramBytes, pageSize, pages }: MigrationState, bytesPerSecond: number): string {
  const left = Math.max(0, ramBytes - pages * pageSize);
  const time = bytesPerSecond > 0 ? `, at most ${formatDuration(left / bytesPerSecond)} left` : "";
  return `round 1: ${formatSize(pages * pageSize)} of ${formatSize(ramBytes)}${time}`;
}

/** What it came to. */
export function endText(state: MigrationState): string {
  if (!state.hasBegun) return "no migration was seen";
  const { machine, ramBytes, round, pages, pagesAgain, channels, isPostcopy, requests } = state;
  const parts = [
    `${machine === undefined ? "a machine" : printable(machine)} with ${formatSize(ramBytes)} of RAM`,
    `${formatCounted(round, "round")}, ${formatCounted(pages, "page")}, ${formatCount(pagesAgain)} of them again`,
    ...(channels > 0 ? [formatCounted(channels, "channel")] : []),
    ...(isPostcopy ? [`postcopy, ${formatCounted(requests, "request")}`] : []),
    ...(state.isBlind ? ["of what could be seen: some went by too fast"] : []),
    outcome(state),
  ];
  return parts.join("; ");
}

function outcome({ hasEnded, answer, isBlind }: MigrationState): string {
  if (answer !== undefined && answer !== 0) return `the destination failed: ${answer}`;
  if (!hasEnded) return isBlind ? "its end was not seen" : "it broke off";
  return answer === undefined ? "all was sent" : "the destination has it";
}
