/**
 * test/bench/lab: zc bench where the kernel need not copy: vsock on a guest's local CID, and TCP
 * between two guests; under the newest kernel and 6.12. `--tcp=OPTIONS`: TCP alone, with these of zc
 * bench's. Emulated: the ratios mean something, the absolute figures do not.
 */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Guest, GuestPair } from "../lab/guest.ts";
import { findKernel, type KernelKind } from "../lab/kernels.ts";

const { values } = parseArgs({
  options: {
    kernels: { type: "string", default: "newest,lts" },
    repeat: { type: "string", default: "5" },
    time: { type: "string", default: "1s" },
    tcp: { type: "string", default: "" },
  },
});
const address = "10.77.0.2:5201";
const common = `--repeat ${values.repeat} --time ${values.time} --source 256M`;

for (const kind of values.kernels.split(",")) await measureUnder(kind as KernelKind);
process.exit(0);

async function measureUnder(kind: KernelKind): Promise<void> {
  const kernel = findKernel(kind);
  if (typeof kernel === "string") throw new Error(kernel);
  const pair = await GuestPair.boot(kernel);
  print(`## Linux ${pair.one.release}\n`);
  if (values.tcp === "") {
    print(`### zc bench vsock ${common}\n`);
    print(await output(pair.one, `src/zc bench vsock ${common}`));
  }
  print(`### zc bench ${address} ${common} ${values.tcp}\n`);
  const served = pair.two.run(`src/zc bench serve ${address} & echo $! >/dev/shm/server; wait`);
  print(await output(pair.one, `src/zc bench ${address} --retry 60s ${common} ${values.tcp}`));
  await pair.two.run("kill $(cat /dev/shm/server)");
  await served;
  await pair.stop();
}

async function output(guest: Guest, command: string): Promise<string> {
  const { code, stdout, stderr } = await guest.run(command);
  if (code !== 0) throw new Error(`${command}: exit ${code}: ${stderr}`);
  return stdout.toString();
}

function print(text: string): void {
  writeSync(1, `${text}\n`);
}
