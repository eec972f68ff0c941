/** zc recv: from an address into a file or a stream. */
import { parseAddress } from "../address/index.ts";
import { parseExpected } from "../checksum.ts";
import { defineCommand, type OptionValues, oneOf } from "../command.ts";
import { printable, usageError, ZcError } from "../errors.ts";
import { printNote, printResult } from "../print.ts";
import { checkAddress, checkCard, flowOf } from "../transfer/card-check.ts";
import { readCardFacts } from "../transfer/card-facts.ts";
import { type CardQueue, cardQueue } from "../transfer/card-queue.ts";
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
  if: {
    flag: "--if <name>",
    text: "zcrx: take over a queue of this network interface; else no device, and the kernel copies",
    parse: String,
  },
  rxq: {
    flag: "--rxq <n>",
    text: "zcrx: which receive queue, from 0; warns of what the interface is not set up for",
    parse: (text: string, name: string) => parseCount(text, name, { max: 2 ** 31 - 2 }),
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
    "zc recv '*:5000' --mode zcrx --if eth0 --rxq 3 disk.img",
  ],
  run: ([address = "", file], values) => {
    const { mode, size, expect, noClobber, fsync, sparse } = values;
    const queue = toCardQueue(values);
    if (queue !== undefined && !values.quiet) warnOfCard(address, queue, values);
    const toFile = file !== undefined && file !== "-";
    if (sparse && !toFile) throw usageError("--sparse", "it needs a FILE to leave holes in");
    if (sparse && mode !== undefined && mode !== "auto" && mode !== "copy")
      throw usageError("--sparse", `${mode} does not look for zeros`);
    const telling: Telling = {
      direction: "receive",
      printResult: toFile ? printResult : printNote,
    };
    const complete = (transfer: TransferOptions): ReceiveOptions => ({
      ...{ ...transfer, file, mode, size, expect, noClobber, fsync, sparse, cardQueue: queue },
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

function toCardQueue({ if: name, rxq, mode }: OptionValues<typeof options>): CardQueue | undefined {
  if (name === undefined && rxq === undefined) return undefined;
  if (mode !== "zcrx") throw usageError("--if and --rxq", "they are for --mode zcrx");
  if (name === undefined || rxq === undefined)
    throw usageError("--if and --rxq", "one needs the other", "--if eth0 --rxq 1");
  return cardQueue(name, rxq);
}

/** What is not as zcrx needs it is no error: it is told, and tried. */
function warnOfCard(
  address: string,
  queue: CardQueue,
  { if: name = "", connect }: OptionValues<typeof options>,
): void {
  const parsed = parseAddress(address);
  const role = connect ? "connect" : "listen";
  const facts = readCardFacts(name, queue);
  const findings = [...checkAddress(parsed, role), ...checkCard(facts, flowOf(parsed, role))];
  for (const { detail, mend } of findings)
    printNote(printable(`zc: warning: ${detail}${mend === undefined ? "" : `; ${mend}`}`));
}

function checkExpected(text: string): string {
  parseExpected(text);
  return text;
}
