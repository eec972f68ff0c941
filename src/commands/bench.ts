/** zc bench: does zero-copy pay, here? */
import { toText } from "../bench/report/text.ts";
import { defineCommand, oneOf } from "../command.ts";
import { ownTransports } from "../endpoint/own-address.ts";
import { usageError } from "../errors.ts";
import { sendModes } from "../transfer/plan.ts";
import { toIperf3Options } from "./bench/iperf3.ts";
import { listOf, measureOptions, runBench, toBenchOptions } from "./bench/options.ts";

const transportsDefault = ["tcp", "unix", "vsock"] as const;
const sizesDefault = [32 << 10, 128 << 10, 1 << 20];

const options = {
  transport: {
    flag: "--transport <list>",
    text: `where both ends are here, of ${ownTransports.join(",")} (${transportsDefault.join(",")})`,
    parse: listOf(oneOf(ownTransports)),
  },
  iperf3: { flag: "--iperf3", text: "ADDR is an iperf3 server: HOST, HOST:PORT or udp:HOST" },
  reverse: { flag: "--reverse", text: "with --iperf3: it sends, and we receive" },
  ...measureOptions,
} as const;

export const command = defineCommand({
  usage: "[ADDR]",
  text: "Measure transport × mode × size: both ends here, or to `zc bench serve` at ADDR.",
  options,
  examples: [
    "zc bench",
    "zc bench --transport unix,tcp --sizes 64K,1M --touch --html bench.html",
    "zc bench host:5201 --streams 4 --time 5s --json",
    "zc bench --iperf3 host",
    "zc bench vsock",
  ],
  subcommands: {
    serve: { text: "be the receiving end, for others", load: () => import("./bench/serve.ts") },
    vsock: {
      text: "the table of the virtio/vsock work: seconds for 4000 MB",
      load: () => import("./bench/vsock.ts"),
    },
    compare: {
      text: "two results, two kernels or machines perhaps",
      load: () => import("./bench/compare.ts"),
    },
  },
  run: ([address], values) => {
    const { transport, iperf3, reverse } = values;
    if (address !== undefined && transport !== undefined)
      throw usageError("--transport", "ADDR says it already");
    if (reverse && !iperf3) throw usageError("--reverse", "it is for --iperf3");
    if (iperf3) {
      const options = toIperf3Options(address, values, { reverse, sizes: sizesDefault });
      return runBench(options, values, toText);
    }
    const transports = transport ?? transportsDefault;
    const defaults = { transports, modes: sendModes, sizes: sizesDefault };
    return runBench(toBenchOptions(address, values, defaults), values, toText);
  },
});
