/** zc vfio-user migrate: a device's state into another device. */
import { defineCommand } from "../../command.ts";
import { printable } from "../../errors.ts";
import { printNote, printResult } from "../../print.ts";
import { defaultStyle, showProgress } from "../../progress/progress.ts";
import { formatDuration, formatSize, formatTime, parseDuration } from "../../units.ts";
import { dataTimeoutMsDefault } from "../../vfio/device.ts";
import { migrateDevice, type Recoveries } from "../../vfio/migrate.ts";
import { replyTimeoutMsDefault } from "../../vfio-user/connection.ts";
import { stateTimeoutMsDefault, UserDevice } from "../../vfio-user/device.ts";
import { runJson } from "../run-json.ts";
import {
  assertSensibleStop,
  downtimeMsDefault,
  movingOptions,
  restText,
  stopOptions,
} from "../vfio/moving.ts";
import { stageLines } from "../vfio/stage-lines.ts";
import { jsonOption, openClient, quietOption, serverOptions } from "./server.ts";

const seconds = (ms: number) => `${ms / 1000}s`;

const options = {
  ...stopOptions,
  timeout: {
    flag: "--timeout <time>",
    text: `give up when a device owes data for so long (${seconds(dataTimeoutMsDefault)})`,
    parse: parseDuration,
  },
  ...serverOptions,
  replyTimeout: {
    ...serverOptions.replyTimeout,
    text: `give up when a reply takes so long (${seconds(replyTimeoutMsDefault)}, a change of state ${seconds(stateTimeoutMsDefault)})`,
  },
  progress: movingOptions.progress,
  json: { ...jsonOption, text: "the summary as one JSON object" },
  quiet: quietOption,
} as const;

export const command = defineCommand({
  usage: "SOURCE DEST",
  text: [
    "Migrate the device behind SOURCE into the one behind DEST, which must be of the same kind.",
    "Afterwards DEST runs, and SOURCE rests in STOP while this command is connected: many servers, zc's",
    "own too, reset a device whose client has gone, and it runs again. After a failure SOURCE runs again,",
    "and DEST is reset, unless it runs already and has everything; what was done is told.",
  ].join("\n"),
  options,
  examples: ["zc vfio-user migrate /run/source.sock /run/destination.sock --downtime 50ms"],
  run: ([from = "", to = ""], values) => {
    assertSensibleStop(values);
    let recovered: Recoveries | undefined;
    const names = { source: from, destination: to };
    const run = async (signal: AbortSignal): Promise<number> => {
      const open = async (server: string) =>
        new UserDevice(server, await openClient(server, values, signal), {
          ...{ dataTimeoutMs: values.timeout, stateTimeoutMs: values.replyTimeout, signal },
        });
      await using source = await open(from);
      await using destination = await open(to);
      const counters = { bytes: 0 };
      const style = values.progress ?? defaultStyle(values.quiet);
      using display = showProgress({ total: undefined, counters }, style);
      const note = (text: string) => {
        display.erase();
        printNote(printable(`zc: ${text}`));
      };
      const { verdict, ...migrated } = await migrateDevice(source, destination, {
        preCopy: !values.noPreCopy,
        downtimeMs: values.downtime ?? downtimeMsDefault,
        deadlineMs: values.deadline,
        signal,
        onStage: (stage) => {
          if (!values.quiet) for (const line of stageLines(stage)) note(line);
        },
        onProgress: (bytes) => {
          counters.bytes = bytes;
        },
        onRecover: (which, { found, to: where }) => {
          const what = where === "reset" ? "a reset, which loses what it holds" : where;
          note(`${names[which]} is in ${found}: going back by ${what}`);
        },
        onRecovered: (recoveries) => {
          recovered = recoveries;
          for (const which of ["source", "destination"] as const) {
            const recovery = recoveries[which];
            if (recovery !== undefined) note(`${names[which]} ${restText(recovery)}`);
          }
        },
      });
      display[Symbol.dispose]();
      const end = verdict === undefined ? {} : { preCopyEnd: verdict };
      const { bytes, seconds, preCopyBytes, downtimeMs } = migrated;
      if (values.json) printResult(JSON.stringify({ ...names, ...migrated, ...end }));
      if (values.json || values.quiet) return 0;
      const early = preCopyBytes === 0 ? "" : `, ${formatSize(preCopyBytes)} of it while it ran`;
      const still = `it stood still for ${formatTime(downtimeMs * 1e6)}, and runs in ${to}`;
      note(`${formatSize(bytes)} in ${formatDuration(seconds)}${early}; ${still}`);
      return 0;
    };
    return runJson(values.json, run, { beside: () => (recovered ? { recovered } : {}) });
  },
});
