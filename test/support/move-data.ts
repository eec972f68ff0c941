/** Moves FILE, as if it were a device's data in PRE_COPY, to standard error; prints how that ended. */
import { openSync } from "node:fs";
import { printResult } from "../../src/print.ts";
import { KernelData } from "../../src/vfio/kernel/data.ts";

const [file = ""] = process.argv.slice(2);
const device = { name: "it", state: async () => "PRE_COPY" as const };
await using data = new KernelData(openSync(file, "r"), device);
const sink = { fd: 2, name: "standard error", isSocket: false };
printResult(JSON.stringify([await data.moveTo(sink), await data.moveTo(sink)]));
