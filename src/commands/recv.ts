/** zc recv: from an address into a file or a stream. */
import { parseExpected } from "../checksum.ts";
import { defineCommand, type OptionValues, oneOf } from "../command.ts";
import { usageError, ZcError } from "../errors.ts";
import { printNote, printResult } from "../print.ts";
import type { TransferOptions } from "../transfer/options.ts";
import { receiveModes } from "../transfer/plan.ts";
import { type ReceiveOptions, receive, receiveAll, receiveTogether } from "../transfer/receive.ts";
import type { Summary } from "../transfer/summary.ts";
import { parseCount, parseSize } from "../units.ts";
import { runTransfer, type Telling, tellError, tellSummary, transferOptions } from "./transfer.ts";

const options = {
  mode: {
    flag: "--mode <mode>",
    text: `how the bytes move: auto, ${receiveModes.join(", ")}`,
    parse: oneOf(["auto", ...receiveModes]),
  },
  size: {
    flag: "--size <size>",
    text: "bytes that must arrive, no less and no more",
    parse: parseSize,
  },
  expect: {
    flag: "--expect <checksum>",
    text: "what the content must be: xxh3:HEX or sha256:HEX",
    parse: checkExpected,
  },
  keepOpen: { flag: "--keep-open", text: "serve one connection after another" },
  connections: {
    flag: "--connections <n>",
    text: "take so many at once, each into a file of its own in the folder FILE",
    parse: (text: string, name: string) => parseCount(text, name, { min: 1, max: 1024 }),
  },
  noClobber: { flag: "--no-clobber", text: "refuse a FILE that exists" },
  fsync: {
    flag: "--fsync",
    text: "FILE and its folder are on the disk before success",
  },
  sparse: { flag: "--sparse", text: "leave holes for blocks of zeros" },
  ...transferOptions,
} as const;

export const command = defineCommand({
  usage: "ADDR [FILE]",
  text: "Listen on ADDR, take one connection, and write FILE, or standard output.",
  options,
  examples: [
    "zc recv :5000 disk.img",
    "zc recv '*:5000' --expect sha256:… disk.img",
    "zc recv unix:/run/in.sock | tar x",
    "zc recv :5000 --connections 5 capture",
  ],
  run: ([address = "", file], values) => {
    const { mode, size, expect, noClobber, fsync, sparse } = values;
    const toFile = file !== undefined && file !== "-";
    if (sparse && !toFile) throw usageError("--sparse", "it needs a FILE to leave holes in");
    if (sparse && mode === "splice") throw usageError("--sparse", "splice cannot look for zeros");
    if (sparse && mode === "tcp-zerocopy") throw usageError("--sparse", "tcp-zerocopy leaves none");
    const telling: Telling = {
      direction: "receive",
      printResult: toFile ? printResult : printNote,
    };
    const complete = (transfer: TransferOptions): ReceiveOptions => ({
      ...{ ...transfer, file, mode, size, expect, noClobber, fsync, sparse },
    });
    const { connections, keepOpen } = values;
    if (connections !== undefined) {
      assertTogether(values, toFile);
      const tell = (summary: Summary) => tellSummary(summary, values, telling);
      return runTransfer(address, values, telling, async (transfer) => {
        await receiveTogether({ ...complete(transfer), file: file ?? "" }, connections, tell);
        return undefined;
      });
    }
    return runTransfer(address, values, telling, (transfer) =>
      keepOpen
        ? receiveAll(complete(transfer), (result) =>
            result instanceof ZcError
              ? tellError(result, values, telling)
              : tellSummary(result, values, telling),
          )
        : receive(complete(transfer)),
    );
  },
});

function assertTogether(
  { keepOpen, size, expect }: OptionValues<typeof options>,
  toFile: boolean,
): void {
  if (!toFile) throw usageError("--connections", "it needs a folder to put them in");
  if (keepOpen) throw usageError("--keep-open", "with --connections there are as many as it says");
  if (size !== undefined || expect !== undefined)
    throw usageError("--size and --expect", "they are for one connection");
}

function checkExpected(text: string): string {
  parseExpected(text);
  return text;
}
