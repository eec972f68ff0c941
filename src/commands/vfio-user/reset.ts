/** zc vfio-user reset: a device to what it was in the beginning. */
import { defineCommand } from "../../command.ts";
import { serverOptions, withClient } from "./server.ts";

export const command = defineCommand({
  usage: "SOCKET",
  text: "Reset the device to what it was in the beginning; a migration of it is over.",
  options: serverOptions,
  examples: ["zc vfio-user reset /run/device.sock"],
  run: ([server = ""], values) =>
    withClient(server, values, async (client, signal) => {
      await client.reset({ signal });
      return 0;
    }),
});
