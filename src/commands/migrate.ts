/** zc migrate: QEMU's migration stream. */
import { defineCommand } from "../command.ts";
import { usageError } from "../errors.ts";

export const command = defineCommand({
  usage: "",
  text: "Read QEMU's migration stream, from a file or a pipe, in one pass.",
  options: {},
  examples: [
    "zc migrate info vm.stream",
    "zstdcat vm.stream.zst | zc migrate decode --format tree",
  ],
  subcommands: {
    info: {
      text: "what is in it: machine, RAM, pages by kind, devices",
      load: () => import("./migrate/info.ts"),
    },
    decode: {
      text: "every element in order, devices field by field",
      load: () => import("./migrate/decode.ts"),
    },
    encode: {
      text: "an archive back to the stream, byte for byte",
      load: () => import("./migrate/encode.ts"),
    },
    convert: {
      text: "the same machine as a plain stream, or as a mapped-ram file",
      load: () => import("./migrate/convert.ts"),
    },
    diff: {
      text: "how two machines differ: devices by field, RAM by page",
      load: () => import("./migrate/diff.ts"),
    },
    relay: {
      text: "between a source and a destination, watching",
      load: () => import("./migrate/relay.ts"),
    },
    replay: {
      text: "captured connections, sent again",
      load: () => import("./migrate/replay.ts"),
    },
    verify: {
      text: "whether it is what it should be, to the last byte",
      load: () => import("./migrate/verify.ts"),
    },
  },
  run: async () => {
    throw usageError("zc migrate", "what is to be done is missing", "zc migrate --help");
  },
});
