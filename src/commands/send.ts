/** zc send: a file or a stream to an address. */
import { defineCommand, oneOf } from "../command.ts";
import { printResult } from "../print.ts";
import { sendModes } from "../transfer/plan.ts";
import { send } from "../transfer/send.ts";
import { runTransfer, transferOptions } from "./transfer.ts";

const options = {
  mode: {
    flag: "--mode <mode>",
    text: `how the bytes move: auto, ${sendModes.join(", ")}`,
    parse: oneOf(["auto", ...sendModes]),
  },
  ...transferOptions,
} as const;

export const command = defineCommand({
  usage: "ADDR [FILE]",
  text: "Connect to ADDR and send FILE, or standard input.",
  options,
  examples: [
    "zc send host:5000 disk.img",
    "tar c DIR | zc send host:5000",
    "zc send vsock-uds:/run/vm.vsock:5000 disk.img",
  ],
  run: ([address = "", file], values) => {
    const { mode } = values;
    return runTransfer(address, values, { direction: "send", printResult }, (transfer) =>
      send({ ...transfer, file, mode }),
    );
  },
});
