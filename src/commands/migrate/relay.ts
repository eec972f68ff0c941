/** zc migrate relay: between a source and a destination, watching. */
import { parseAddress } from "../../address/index.ts";
import { defineCommand } from "../../command.ts";
import { MigrationView } from "../../migration/report/view.ts";
import { endText, stateText } from "../../migration/report/view-text.ts";
import { printNote, printResult } from "../../print.ts";
import { defaultStyle, type ProgressStyle, showStatus } from "../../progress/progress.ts";
import { relayAll } from "../../relay/relay.ts";
import type { RelaySummary } from "../../relay/summary.ts";
import { Traffic } from "../../relay/traffic.ts";
import { eitherSignal } from "../../run-job.ts";
import { runJson } from "../run-json.ts";
import { linkOptions, transferOptions } from "../transfer.ts";
import { streamOptions } from "./stream.ts";

const { connectTimeout, retry, timeout } = linkOptions;
const { progress, quiet } = transferOptions;

const options = {
  pageSize: streamOptions.pageSize,
  timeout,
  connectTimeout: { ...connectTimeout, text: "give up when TO does not answer" },
  retry: { ...retry, text: "keep trying to connect to TO for so long" },
  progress,
  json: { flag: "--json", text: "what it came to as one JSON object" },
  quiet,
} as const;

export const command = defineCommand({
  usage: "LISTEN TO",
  text: "Stand between a source and a destination, pass everything on, and show how far it is.",
  options,
  examples: [
    "zc migrate relay unix:/run/source unix:/run/incoming",
    "zc migrate relay '*:4444' tcp:destination:4444 --progress plain",
  ],
  run: ([from = "", to = ""], values) =>
    runJson(values.json, async (signal) => {
      const addresses = { listen: parseAddress(from), to: parseAddress(to) };
      const { timeout: timeoutMs, connectTimeout: connectTimeoutMs, retry: retryMs } = values;
      await using view = new MigrationView(values.pageSize);
      const traffic = new Traffic();
      const crowd = new Crowd();
      const style = values.progress ?? defaultStyle(values.quiet);
      using _shown = showView(view, traffic, style);
      const onListening = (where: string) => {
        if (!values.quiet) printNote(`zc: listening on ${where}`);
      };
      const tee = () => {
        crowd.begin();
        return view.tee();
      };
      await crowd.over(
        relayAll(
          {
            ...{ ...addresses, timeoutMs, connectTimeoutMs, retryMs, traffic, onListening, tee },
            signal: eitherSignal(signal, crowd.signal),
          },
          (summary) => crowd.end(summary),
        ),
      );
      await view.finished();
      if (values.json) printResult(JSON.stringify({ ...view.state, connections: crowd.ended }));
      else if (!values.quiet) printNote(`zc: ${endText(view.state)}`);
      return crowd.exitCode();
    }),
});

/** A migration's connections: it is over when all that there were have ended. */
class Crowd {
  readonly ended: RelaySummary[] = [];
  readonly #over = new AbortController();
  #begun = 0;

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  begin(): void {
    this.#begun++;
  }

  end(summary: RelaySummary): void {
    this.ended.push(summary);
    if (this.ended.length >= this.#begun) this.#over.abort();
  }

  /** Resolves when the relay was ended from here. */
  async over(relay: Promise<never>): Promise<void> {
    try {
      await relay;
    } catch (error) {
      if (!this.signal.aborted) throw error;
    }
  }

  /** Tells of each that failed. */
  exitCode(): number {
    const errors = this.ended.flatMap(({ error }) => error ?? []);
    for (const error of errors) printNote(error.toLine());
    return errors[0]?.exitCode ?? 0;
  }
}

function showView(view: MigrationView, traffic: Traffic, style: ProgressStyle): Disposable {
  let last = { time: performance.now(), bytes: 0 };
  return showStatus(style, () => {
    const [time, { bytes }] = [performance.now(), traffic.counters];
    const rate = ((bytes - last.bytes) * 1e3) / Math.max(time - last.time, 1);
    last = { time, bytes };
    return stateText(view.state, rate);
  });
}
