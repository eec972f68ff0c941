/** zc recv: from an address into a file or a stream. */
import { parseExpected } from "../checksum.ts";
import { defineCommand, oneOf } from "../command.ts";
import { usageError, ZcError } from "../errors.ts";
import { printNote, printResult } from "../print.ts";
import type { TransferOptions } from "../transfer/options.ts";
import { receiveModes } from "../transfer/plan.ts";
import { type ReceiveOptions, receive, receiveAll } from "../transfer/receive.ts";
import { parseSize } from "../units.ts";
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
  ],
  run: ([address = "", file], values) => {
    const { mode, size, expect, noClobber, fsync, sparse } = values;
    const toFile = file !== undefined && file !== "-";
    if (sparse && !toFile) throw usageError("--sparse", "it needs a FILE to leave holes in");
    if (sparse && mode === "splice") throw usageError("--sparse", "splice cannot look for zeros");
    const telling: Telling = {
      direction: "receive",
      printResult: toFile ? printResult : printNote,
    };
    const complete = (transfer: TransferOptions): ReceiveOptions => ({
      ...{ ...transfer, file, mode, size, expect, noClobber, fsync, sparse },
    });
    return runTransfer(address, values, telling, (transfer) =>
      values.keepOpen
        ? receiveAll(complete(transfer), (result) =>
            result instanceof ZcError
              ? tellError(result, values, telling)
              : tellSummary(result, values, telling),
          )
        : receive(complete(transfer)),
    );
  },
});

function checkExpected(text: string): string {
  parseExpected(text);
  return text;
}
