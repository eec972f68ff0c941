/** zc migrate encode: the stream that an archive is of. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { defineCommand } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { writing } from "../../files.ts";
import { archivedChannels, writeArchived } from "../../migration/writing/archive.ts";
import { copyFile, StreamWriter } from "../../migration/writing/writer.ts";
import { interruptible } from "../../signals.ts";
import { openOutput } from "../../transfer/output.ts";

export const command = defineCommand({
  usage: "DIR [FILE]",
  text: "Write the stream that `zc migrate decode --archive DIR` was given, to FILE or standard output; with its channels, to the folder FILE.",
  options: {},
  examples: [
    "zc migrate encode archive | cmp - vm.stream",
    "zc migrate encode archive capture && zc migrate replay capture unix:/run/incoming",
  ],
  run: ([folder = "", file]) =>
    interruptible(async (signal) => {
      const channels = archivedChannels(folder);
      const main = channels.length === 0 ? file : await writeChannels(channels, file, signal);
      using output = await openOutput(main, {}, signal);
      await writeArchived(folder, new StreamWriter(output, signal));
      output.commit();
      return 0;
    }),
});

/** Into a new folder, as a capture has them. Returns where the stream goes, without which it is none. */
async function writeChannels(
  channels: readonly string[],
  folder: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (folder === undefined || folder === "-")
    throw usageError(
      "FILE",
      "the archive has channels, and needs a folder",
      "zc migrate encode DIR capture",
    );
  writing(folder, () => mkdirSync(folder));
  for (const [index, channel] of channels.entries()) {
    const file = join(folder, `connection-${index + 1}`);
    await copyFile(channel, file, signal);
  }
  return join(folder, "connection-0");
}
