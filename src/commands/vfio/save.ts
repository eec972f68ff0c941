/** zc vfio save: a device's state to a file, a pipe or an address. */
import { defineCommand } from "../../command.ts";
import { printNote, printResult } from "../../print.ts";
import { formatDuration, formatSize, formatTime } from "../../units.ts";
import { openSink } from "../../vfio/ends.ts";
import { openDevice } from "../../vfio/open.ts";
import { type Saved, saveDevice } from "../../vfio/save.ts";
import {
  assertSensibleStop,
  downtimeMsDefault,
  movingOptions,
  runMoving,
  stopOptions,
} from "./moving.ts";
import { stageLines } from "./stage-lines.ts";

const options = {
  ...stopOptions,
  noClobber: { flag: "--no-clobber", text: "refuse a FILE that exists" },
  fsync: { flag: "--fsync", text: "FILE and its folder are on the disk before success" },
  ...movingOptions,
} as const;

export const command = defineCommand({
  usage: "DEV [ADDR|FILE]",
  text: [
    "Save the state of DEV to an address, a file, or standard output.",
    "After a failure it runs on as before, wherever that is possible; what was done is told.",
    "Most drivers and servers reset a device whose last user has gone: its STOP ends with this command.",
  ].join("\n"),
  options,
  examples: [
    "zc vfio save 0000:01:00.1 device.state",
    "zc vfio save 0000:01:00.1 host:5000 --downtime 100ms",
    "zc vfio save 0000:01:00.1 --run | zstd >device.state.zst",
  ],
  run: ([name = "", to], values) => {
    assertSensibleStop(values);
    const toStream = to === undefined || to === "-";
    const printSummary = toStream ? printNote : printResult;
    return runMoving(name, values, printSummary, async (moving) => {
      await using device = await openDevice(name, moving.signal, moving.device);
      using sink = await openSink(to, moving.meetPeer, values, moving.signal);
      using _idle = moving.watch();
      const saved = await saveDevice(device, sink, {
        ...moving,
        preCopy: !values.noPreCopy,
        downtimeMs: values.downtime ?? downtimeMsDefault,
        deadlineMs: values.deadline,
        run: values.run,
        onStage: (stage) => {
          for (const line of stageLines(stage)) moving.note(line);
        },
      });
      moving.note(savedText(saved, sink.end.name));
      const { verdict, ...rest } = saved;
      const preCopyEnd = verdict === undefined ? {} : { preCopyEnd: verdict };
      return { device: name, to: sink.end.name, ...rest, ...preCopyEnd };
    });
  },
});

function savedText(saved: Saved, to: string): string {
  const { bytes, seconds, preCopyBytes, downtimeMs, state } = saved;
  const early = preCopyBytes === 0 ? "" : `, ${formatSize(preCopyBytes)} of it while it ran`;
  const still = `stood still for ${formatTime(downtimeMs * 1e6)}`;
  const whole = `${formatSize(bytes)} to ${to} in ${formatDuration(seconds)}${early}`;
  return `${whole}; it ${still}, and ${state === "RUNNING" ? "runs again" : `rests in ${state}`}`;
}
