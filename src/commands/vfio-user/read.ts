/** zc vfio-user read: bytes of a region. */
import { defineCommand } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { hexdump } from "../../hexdump.ts";
import { printBytes, printResult } from "../../print.ts";
import { parseSize } from "../../units.ts";
import { jsonOption, parseOffset, parseRegion, serverOptions, withClient } from "./server.ts";

/** Bytes at a time; what is printed once is not kept. */
const portion = 1 << 20;

export const command = defineCommand({
  usage: "SOCKET REGION OFFSET SIZE",
  text: [
    "Print bytes of a region: by number, or by name (bar0 to bar5, rom, config, vga).",
    "What the device lets us map is read there, the rest by messages.",
  ].join("\n"),
  options: {
    raw: { flag: "--raw", text: "the bytes as they are" },
    noMap: { flag: "--no-map", text: "all of it by messages" },
    ...serverOptions,
    json: jsonOption,
  },
  examples: [
    "zc vfio-user read /run/device.sock config 0 64",
    "zc vfio-user read /run/device.sock bar1 0x1000 4K --raw >page",
  ],
  run: ([server = "", name = "", from = "", count = ""], values) => {
    const { raw, json } = values;
    if (raw && json) throw usageError("--raw and --json", "one of them, not both");
    const region = parseRegion(name);
    const offset = parseOffset(from, "OFFSET");
    const size = parseSize(count, "SIZE");
    return withClient(server, values, async (client, signal) => {
      const options = { map: !values.noMap, signal };
      if (json) {
        const bytes = await client.regions.read(region, offset, size, options);
        const where = { region, offset: `0x${offset.toString(16)}`, bytes: bytes.length };
        printResult(JSON.stringify({ ...where, hex: bytes.toHex() }));
        return 0;
      }
      for (let at = 0; at < size; at += portion) {
        const begin = offset + BigInt(at);
        const bytes = await client.regions.read(
          ...([region, begin, Math.min(portion, size - at), options] as const),
        );
        if (raw) printBytes(bytes);
        else printResult(hexdump(bytes, begin).join("\n"));
      }
      return 0;
    });
  },
});
