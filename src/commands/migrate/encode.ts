/** zc migrate encode: the stream that an archive is of. */
import { defineCommand } from "../../command.ts";
import { writeArchived } from "../../migration/writing/archive.ts";
import { StreamWriter } from "../../migration/writing/writer.ts";
import { interruptible } from "../../signals.ts";
import { openOutput } from "../../transfer/output.ts";

export const command = defineCommand({
  usage: "DIR [FILE]",
  text: "Write the stream that `zc migrate decode --archive DIR` was given, to FILE or standard output.",
  options: {},
  examples: ["zc migrate encode archive | cmp - vm.stream"],
  run: ([folder = "", file]) =>
    interruptible(async (signal) => {
      using output = openOutput(file);
      await writeArchived(folder, new StreamWriter(output, signal));
      output.commit();
      return 0;
    }),
});
