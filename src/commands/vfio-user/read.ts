/** zc vfio-user read: bytes of a region. */
import { defineCommand } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { hexdump } from "../../hexdump.ts";
import { formatSize, parseSize } from "../../units.ts";
import type { AccessOptions } from "../../vfio-user/client/regions.ts";
import type { Client } from "../../vfio-user/client.ts";
import { jsonOption, parseOffset, parseRegion, serverOptions, withClient } from "./server.ts";

/** Bytes at a time; what is printed once is not kept. */
const portion = 1 << 20;
/** One JSON object is one piece of memory, of several times so many bytes. */
const jsonSizeMax = 64 << 20;

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
    return withClient(server, values, async (client, signal, results) => {
      const place = { region, offset, size, map: !values.noMap, signal };
      if (json) results.print(await readJson(client, place));
      else
        for await (const { bytes, begin } of portions(client, place)) {
          if (raw) results.write(bytes);
          else results.print(hexdump(bytes, begin).join("\n"));
          await results.room();
        }
      return 0;
    });
  },
});

interface Place extends AccessOptions {
  readonly region: number;
  readonly offset: bigint;
  readonly size: number;
}

async function* portions(client: Client, { region, offset, size, ...options }: Place) {
  for (let at = 0; at < size; at += portion) {
    const begin = offset + BigInt(at);
    const length = Math.min(portion, size - at);
    yield { begin, bytes: await client.regions.read(region, begin, length, options) };
  }
}

async function readJson(client: Client, place: Place): Promise<string> {
  const { region, offset, size } = place;
  if (size > jsonSizeMax)
    throw usageError(
      "SIZE",
      `${size} is more than ${formatSize(jsonSizeMax)}`,
      "--raw has no limit",
    );
  const hex: string[] = [];
  for await (const { bytes } of portions(client, place)) hex.push(bytes.toHex());
  const where = { region, offset: `0x${offset.toString(16)}`, bytes: size };
  return JSON.stringify({ ...where, hex: hex.join("") });
}
