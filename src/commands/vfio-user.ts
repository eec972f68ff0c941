/** zc vfio-user: devices in other processes, over a socket. */
import { defineCommand } from "../command.ts";
import { usageError } from "../errors.ts";

export const command = defineCommand({
  usage: "",
  text: "Speak vfio-user: talk to a device in another process, or be one.",
  options: {},
  examples: [
    "zc vfio-user info /run/device.sock",
    "zc vfio-user read /run/device.sock config 0 64",
    "zc vfio-user migrate /run/source.sock /run/destination.sock",
  ],
  subcommands: {
    info: {
      text: "what it is: regions, interrupts, migration",
      load: () => import("./vfio-user/info.ts"),
    },
    read: {
      text: "bytes of a region",
      load: () => import("./vfio-user/read.ts"),
    },
    write: {
      text: "bytes into a region",
      load: () => import("./vfio-user/write.ts"),
    },
    irqs: {
      text: "its interrupts, and waiting for them",
      load: () => import("./vfio-user/irqs.ts"),
    },
    dma: {
      text: "memory for it, and what it does with that",
      load: () => import("./vfio-user/dma.ts"),
    },
    reset: {
      text: "to what it was in the beginning",
      load: () => import("./vfio-user/reset.ts"),
    },
    migrate: {
      text: "its state into another one",
      load: () => import("./vfio-user/migrate.ts"),
    },
    trace: {
      text: "between a client and a server, every message as a line",
      load: () => import("./vfio-user/trace.ts"),
    },
    serve: {
      text: "be a device",
      load: () => import("./vfio-user/serve.ts"),
    },
    bench: {
      text: "how fast it answers",
      load: () => import("./vfio-user/bench.ts"),
    },
  },
  run: async () => {
    throw usageError("zc vfio-user", "what is to be done is missing", "zc vfio-user --help");
  },
});
