/** What is done with a device that is saved, for a person. */
import { formatSize, formatTime } from "../../units.ts";
import type { PrecopyResult } from "../../vfio/precopy.ts";
import type { SaveStage } from "../../vfio/save.ts";

export function stageLines(stage: SaveStage): string[] {
  if (stage.stage === "pre-copy") return [`pre-copy, from ${stage.from}`];
  const { precopy, from, size, estimateMs } = stage;
  const about = size === undefined ? "" : `, about ${formatSize(size)}`;
  const time = estimateMs === undefined ? "" : `, some ${formatTime(estimateMs * 1e6)}`;
  return [
    ...(precopy === undefined ? [] : [precopyText(precopy)]),
    `stopping it, from ${from}${about}${time}; the change itself cannot be interrupted`,
  ];
}

const verdicts: Record<PrecopyResult["verdict"], string> = {
  converged: "converged",
  stalled: "what is left does not become less",
  deadline: "the deadline is here",
  untold: "it always has more, and does not tell what is left",
};

function precopyText({ bytes, verdict, left }: PrecopyResult): string {
  const rest =
    left === undefined ? "" : `, ${formatSize(left.initialBytes + left.dirtyBytes)} left`;
  return `pre-copy, ${verdicts[verdict]}: ${formatSize(bytes)}${rest}`;
}
