/** zc bench serve: the receiving end, for benchmarks from other machines. */
import { parseAddress } from "../../address/index.ts";
import { serveIperf3 } from "../../bench/iperf3/server.ts";
import { serve } from "../../bench/serve.ts";
import { defineCommand, oneOf } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { printNote } from "../../print.ts";
import { interruptible } from "../../signals.ts";
import { sendModes } from "../../transfer/plan.ts";
import { parseIperf3Address } from "./iperf3.ts";

const options = {
  iperf3: { flag: "--iperf3", text: "answer `iperf3 -c`, by default on :5201" },
  mode: {
    flag: "--mode <mode>",
    text: `with --iperf3: how to send, of ${sendModes.join(",")} (copy; sendfile for -Z)`,
    parse: oneOf(sendModes),
  },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors" },
} as const;

export const command = defineCommand({
  usage: "[ADDR]",
  text: "Listen on ADDR, and be the receiving end of `zc bench ADDR` from elsewhere.",
  options,
  examples: [
    "zc bench serve '*:5201'",
    "zc bench serve vsock:any:5201",
    "zc bench serve --iperf3 '*'",
  ],
  run: ([address], { iperf3, mode, quiet }) => {
    if (mode !== undefined && !iperf3) throw usageError("--mode", "it is for --iperf3");
    if (address === undefined && !iperf3)
      throw usageError("zc bench serve", "ADDR is missing", "zc bench serve --help");
    const note = (text: string) => {
      if (!quiet) printNote(text);
    };
    const onListening = (where: string) => note(`zc: listening on ${where}`);
    return interruptible(async (signal) => {
      if (iperf3) {
        const where = parseIperf3Address(address ?? "");
        await serveIperf3({
          address: where,
          mode: mode ?? "copy",
          signal,
          onListening,
          onTest: note,
        });
      } else {
        await serve({
          address: parseAddress(address ?? ""),
          ...{ signal, onListening },
          onSession: (peer, error) => note(error?.toLine() ?? `zc: measuring with ${peer}`),
        });
      }
      return 0;
    });
  },
});
