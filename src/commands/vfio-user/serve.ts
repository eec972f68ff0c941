/** zc vfio-user serve: one of zc's own devices, for a virtual machine's monitor or for tests. */
import { defineCommand, oneOf } from "../../command.ts";
import { printable, usageError } from "../../errors.ts";
import { printNote } from "../../print.ts";
import { interruptible } from "../../signals.ts";
import { parseRate, parseSize } from "../../units.ts";
import { parseServer } from "../../vfio-user/address.ts";
import { devices } from "../../vfio-user/devices/index.ts";
import { commandName } from "../../vfio-user/protocol/commands.ts";
import { serveDevice } from "../../vfio-user/server/serve.ts";

const deviceNames = Object.keys(devices);

const options = {
  device: {
    flag: "--device <name>",
    text: `which one, of ${deviceNames.join(", ")}`,
    parse: oneOf(deviceNames),
  },
  size: {
    flag: "--size <size>",
    text: "memory: its bytes, a power of two up to 4G (16M)",
    parse: parseSize,
  },
  dirtyRate: {
    flag: "--dirty-rate <rate>",
    text: "memory: bytes a second that it writes to itself (0)",
    parse: parseRate,
  },
  once: { flag: "--once", text: "serve one client, and end" },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors" },
} as const;

export const command = defineCommand({
  usage: "SOCKET",
  text: "Listen on SOCKET, and be a device for one client after another.",
  options,
  examples: [
    "zc vfio-user serve /run/gpio.sock --device gpio",
    "zc vfio-user serve unix:@memory --device memory --size 1G --dirty-rate 50M",
  ],
  run: ([socket = ""], { device: name, size, dirtyRate, once, quiet }) => {
    const make = name === undefined ? undefined : devices[name];
    if (make === undefined)
      throw usageError("--device", "which device is missing", `one of ${deviceNames.join(", ")}`);
    const address = parseServer(socket);
    const device = make({ size, dirtyRate });
    const note = (text: string) => {
      if (!quiet) printNote(text);
    };
    return interruptible(async (signal) => {
      await serveDevice({
        ...{ address, device, signal, once },
        onListening: (where) => note(`zc: listening on ${where}`),
        onRefusal: (command, error) => note(`zc: ${refusalText(command, error)}`),
        onGone: (_, error) => note(error?.toLine() ?? "zc: the client is gone"),
      });
      return 0;
    });
  },
});

function refusalText(command: number, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `refused ${commandName(command) ?? `command ${command}`}: ${printable(reason)}`;
}
