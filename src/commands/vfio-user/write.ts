/** zc vfio-user write: bytes into a region. */
import { defineCommand } from "../../command.ts";
import { parseOffset, parseRegion, readContent, serverOptions, withClient } from "./server.ts";

export const command = defineCommand({
  usage: "SOCKET REGION OFFSET HEX|@FILE|-",
  text: "Write bytes into a region: in hexadecimal, of a file, or of standard input.",
  options: {
    posted: {
      flag: "--posted",
      text: "ask for no reply: it is quicker, and nobody is told whether it was done",
    },
    noMap: { flag: "--no-map", text: "by messages, even where it can be mapped" },
    ...serverOptions,
  },
  examples: [
    "zc vfio-user write /run/device.sock bar0 0 01000000",
    "zc vfio-user write /run/device.sock bar1 0x1000 @page",
  ],
  run: ([server = "", name = "", from = "", content = ""], values) => {
    const region = parseRegion(name);
    const offset = parseOffset(from, "OFFSET");
    return withClient(server, values, async (client, signal) => {
      const data = await readContent(content, signal);
      const options = { posted: values.posted, map: !values.noMap, signal };
      await client.regions.write(region, offset, data, options);
      return 0;
    });
  },
});
