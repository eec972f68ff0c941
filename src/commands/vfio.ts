/** zc vfio: devices that can be migrated, linux/vfio.h. */
import { defineCommand } from "../command.ts";
import { usageError } from "../errors.ts";

export const command = defineCommand({
  usage: "",
  text: "Show, change, save and resume the state of a device that VFIO can migrate.",
  options: {},
  examples: [
    "zc vfio info 0000:01:00.1",
    "zc vfio save 0000:01:00.1 device.state",
    "zc vfio save 0000:01:00.1 host:5000",
  ],
  subcommands: {
    info: {
      text: "what it is, its migration features, its state and the way to every other",
      load: () => import("./vfio/info.ts"),
    },
    state: {
      text: "its state, or a change of it",
      load: () => import("./vfio/state.ts"),
    },
    save: {
      text: "its state to a file, a pipe or an address",
      load: () => import("./vfio/save.ts"),
    },
    resume: {
      text: "a state into it",
      load: () => import("./vfio/resume.ts"),
    },
  },
  run: async () => {
    throw usageError("zc vfio", "what is to be done is missing", "zc vfio --help");
  },
});
