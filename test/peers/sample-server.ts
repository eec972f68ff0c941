/**
 * Stands in for libvfio-user's samples/server: [-v] SOCKET. For a live migration its samples/client.c
 * forks, and the parent becomes the destination's server: the client is then our child, and what it
 * ends with is what we end with.
 */
import { dlopen } from "bun:ffi";
import { renameSync, writeSync } from "node:fs";
import { parseServer } from "../../src/vfio-user/address.ts";
import { serveDevice } from "../../src/vfio-user/server/serve.ts";
import { SampleDevice } from "./sample-device.ts";

const path = process.argv.at(-1) ?? "";
/** The client connects as soon as there is a file: it must not be there before somebody listens. */
const place = `${path}.new`;

using device = new SampleDevice();
await serveDevice({
  address: parseServer(place),
  device,
  signal: new AbortController().signal,
  once: true,
  onListening: () => {
    renameSync(place, path);
    writeSync(2, "listening\n");
  },
});
process.exitCode = waitForChild();

/** waitpid(2); without a child 0. */
function waitForChild(): number {
  const { symbols } = dlopen("libc.so.6", {
    waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  });
  const status = new Int32Array(1);
  if (symbols.waitpid(-1, status, 0) < 0) return 0;
  const [value = 0] = status;
  const signal = value & 0x7f;
  return signal === 0 ? value >> 8 : 128 + signal;
}
