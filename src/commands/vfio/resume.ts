/** zc vfio resume: a state into a device. */
import { defineCommand } from "../../command.ts";
import { printResult } from "../../print.ts";
import { formatDuration, formatSize } from "../../units.ts";
import { openStateSource } from "../../vfio/ends.ts";
import { openDevice } from "../../vfio/open.ts";
import { resumeDevice } from "../../vfio/resume.ts";
import { movingOptions, runMoving } from "./moving.ts";

export const command = defineCommand({
  usage: "DEV [ADDR|FILE]",
  text: [
    "Give DEV the state from an address to listen on, a file, or standard input.",
    "What it was in before is lost. After a failure it is reset, and that is told.",
  ].join("\n"),
  options: movingOptions,
  examples: [
    "zc vfio resume 0000:01:00.1 device.state --run",
    "zc vfio resume 0000:01:00.1 :5000 --run",
  ],
  run: ([name = "", from], values) =>
    runMoving(name, values, printResult, async (moving) => {
      await using device = await openDevice(name, moving.signal, moving.device);
      using source = await openStateSource(from, moving.meetPeer, moving.signal);
      using _idle = moving.watch();
      const resumed = await resumeDevice(device, source.end, {
        ...moving,
        run: values.run,
        onStart: (state) => moving.note(`it is in ${state}: what it holds is lost`),
      });
      source.finish();
      const { bytes, seconds, state } = resumed;
      const rest = state === "RUNNING" ? "runs" : `rests in ${state}`;
      const { name: origin } = source.end;
      moving.note(`${formatSize(bytes)} from ${origin} in ${formatDuration(seconds)}; it ${rest}`);
      return { device: name, from: origin, ...resumed };
    }),
});
