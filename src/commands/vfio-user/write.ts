/** zc vfio-user write: bytes into a region. */
import { defineCommand } from "../../command.ts";
import { usageError } from "../../errors.ts";
import type { WriteOptions } from "../../vfio-user/client/regions.ts";
import type { Client } from "../../vfio-user/client.ts";
import { Content } from "./content.ts";
import { parseHex, parseOffset, parseRegion, serverOptions, withClient } from "./server.ts";

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
    const file = fileOf(content);
    const data = file === undefined ? parseHex(content, "HEX") : undefined;
    return withClient(server, values, async (client, signal) => {
      const options = { posted: values.posted, map: !values.noMap, signal };
      if (data !== undefined) await client.regions.write(region, offset, data, options);
      if (file !== undefined) await writeFile(client, file, { ...options, region, offset });
      return 0;
    });
  },
});

/** "-" is standard input; undefined: it is HEX. */
function fileOf(content: string): string | undefined {
  if (content === "-") return content;
  return content.startsWith("@") ? content.slice(1) : undefined;
}

interface Place extends WriteOptions {
  readonly region: number;
  readonly offset: bigint;
  readonly signal: AbortSignal;
}

/** What is too much is refused before anything is written, where that can be told. */
async function writeFile(client: Client, file: string, place: Place): Promise<void> {
  const { region, offset, ...options } = place;
  using content = new Content(file);
  const { size } = await client.regions.info(region, options);
  const room = size > offset ? size - offset : 0n;
  const assertRoom = (bytes: number | bigint) => {
    if (bytes <= room) return;
    const reason = `it has more bytes than the region has from OFFSET on, ${room}`;
    throw usageError(content.name, reason);
  };
  assertRoom(content.size ?? 0);
  let written = 0n;
  for await (const bytes of content.portions(options.signal)) {
    assertRoom(written + BigInt(bytes.length));
    await client.regions.write(region, offset + written, bytes, options);
    written += BigInt(bytes.length);
  }
  if (written === 0n) throw usageError(content.name, "it is empty");
}
