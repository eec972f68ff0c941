/** zc migrate replay: captured connections, sent again. */
import { parseAddress } from "../../address/index.ts";
import { defineCommand } from "../../command.ts";
import { ZcError } from "../../errors.ts";
import { openCapture } from "../../migration/reading/capture.ts";
import { printNote } from "../../print.ts";
import { eitherSignal } from "../../run-job.ts";
import { interruptible } from "../../signals.ts";
import { send } from "../../transfer/send.ts";
import { formatCounted, formatSize, parseDuration } from "../../units.ts";

const options = {
  retry: {
    flag: "--retry <time>",
    text: "keep trying to connect for so long",
    parse: parseDuration,
  },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors" },
} as const;

export const command = defineCommand({
  usage: "DIR ADDR",
  text: "Send the connections that `zc recv --connections` captured in DIR again, each on its own.",
  options,
  examples: [
    "zc recv unix:/run/capture.sock --connections 5 capture",
    "zc migrate replay capture unix:/run/incoming.sock",
  ],
  run: ([folder = "", to = ""], { retry, quiet }) =>
    interruptible(async (signal) => {
      const address = parseAddress(to);
      const { main, channels } = openCapture(folder);
      const stop = new AbortController();
      const each = { address, retryMs: retry, signal: eitherSignal(signal, stop.signal) };
      const begun = Promise.withResolvers<void>();
      const first = send({ ...each, file: main, onStart: () => begun.resolve() });
      // As QEMU does: a postcopy's connections are told by their order, and none ends before the first.
      let isOver = false;
      const over = first.then(() => {
        isOver = true;
      });
      over.catch(() => {});
      const others = channels.map(async (file) => {
        await Promise.race([begun.promise, first]);
        try {
          return await send({ ...each, file, endAfter: over });
        } catch (error) {
          // Once it has the whole stream, a destination may close the others as they are: QEMU 7.2.
          if (!isOver || !(error instanceof ZcError) || error.code !== "PEER_RESET") throw error;
          return undefined;
        }
      });
      const sending = [first, ...others];
      for (const one of sending) one.catch((error) => stop.abort(error));
      try {
        const summaries = await Promise.all(sending);
        const bytes = summaries.reduce((sum, summary) => sum + (summary?.bytes ?? 0), 0);
        if (!quiet)
          printNote(`zc: ${formatCounted(sending.length, "connection")}, ${formatSize(bytes)}`);
        return 0;
      } finally {
        await Promise.allSettled(sending);
      }
    }),
});
