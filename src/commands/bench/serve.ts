/** zc bench serve: the receiving end, for benchmarks from other machines. */
import { parseAddress } from "../../address/index.ts";
import { serve } from "../../bench/serve.ts";
import { defineCommand } from "../../command.ts";
import { printNote } from "../../print.ts";
import { interruptible } from "../../signals.ts";

const options = {
  quiet: { flag: "-q, --quiet", text: "print nothing but errors" },
} as const;

export const command = defineCommand({
  usage: "ADDR",
  text: "Listen on ADDR, and be the receiving end of `zc bench ADDR` from elsewhere.",
  options,
  examples: ["zc bench serve '*:5201'", "zc bench serve vsock:any:5201"],
  run: ([address = ""], { quiet }) => {
    const note = (text: string) => {
      if (!quiet) printNote(text);
    };
    return interruptible(async (signal) => {
      await serve({
        address: parseAddress(address),
        signal,
        onListening: (where) => note(`zc: listening on ${where}`),
        onSession: (peer, error) => note(error?.toLine() ?? `zc: measuring with ${peer}`),
      });
      return 0;
    });
  },
});
