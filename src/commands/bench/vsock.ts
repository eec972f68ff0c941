/** zc bench vsock: copy against zero-copy by pages, as seconds for 4000 MB. */
import { toVsockText } from "../../bench/report/vsock.ts";
import { defineCommand } from "../../command.ts";
import { measureOptions, runBench, toBenchOptions } from "./options.ts";

/** What the virtio/vsock zero-copy work was judged by; pages of 4 KiB. */
const pagesDefault = [8, 32, 64, 256, 512];
const sizes = pagesDefault.map((pages) => pages * 4096);

export const command = defineCommand({
  usage: "[ADDR]",
  text: "Measure vsock by pages a send: on this machine's local CID, or to `zc bench serve` at ADDR.",
  options: measureOptions,
  examples: [
    "zc bench vsock",
    "zc bench vsock vsock:3:5201",
    "zc bench vsock vsock-uds:/run/vm.vsock:5201 --bytes 4000M",
  ],
  run: ([address], values) => {
    const defaults = { transports: ["vsock"], modes: ["copy", "msg-zerocopy"], sizes } as const;
    return runBench(toBenchOptions(address, values, defaults), values, toVsockText);
  },
});
