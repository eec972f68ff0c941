/** zc errq: what is on a socket's error queue: our own while it sends, or another process's. */
import { parseAddress } from "../address/index.ts";
import { defineCommand, type OptionValues } from "../command.ts";
import { usageError } from "../errors.ts";
import { describeNotice, describeState, describeWatch } from "../errq/describe.ts";
import { drainSocket, type ForeignSocket, watchSocket } from "../errq/inspect.ts";
import { sendWatched } from "../errq/send.ts";
import { isTerminal, printNote } from "../print.ts";
import { type Results, withResults } from "../results.ts";
import { parseCount } from "../units.ts";
import { runJson } from "./run-json.ts";
import { linkOptions, toLink } from "./transfer.ts";

const numberMax = 2 ** 31 - 1;

const options = {
  timestamps: {
    flag: "--timestamps",
    text: "tell when each send was scheduled, sent, acknowledged",
  },
  pid: { flag: "--pid <pid>", text: "look at another process's socket", parse: parseNumber },
  fd: { flag: "--fd <n>", text: "its descriptor there", parse: parseNumber },
  drain: { flag: "--drain", text: "take its notifications: the process will not see them" },
  follow: { flag: "--follow", text: "go on, until it has closed the socket" },
  ...linkOptions,
  json: { flag: "--json", text: "a JSON object a line (default: unless it is a terminal)" },
  quiet: { flag: "-q, --quiet", text: "print nothing but errors and what was asked for" },
} as const;

type Values = OptionValues<typeof options>;

export const command = defineCommand({
  usage: "[ADDR] [FILE]",
  text: "Send FILE, or standard input, to ADDR without copies, and print what the error queue says.",
  options,
  examples: [
    "zc errq host:5000 disk.img",
    "zc errq udp:host:5000 --timestamps --bytes 10K /dev/zero",
    "zc errq --pid 4711 --fd 12",
    "zc errq --pid 4711 --fd 12 --follow",
  ],
  run: ([address, file], values) => {
    assertSensible(address, values);
    const isJson = values.json || !isTerminal.result();
    return runJson(isJson, (interrupt) =>
      withResults(interrupt, async (results, signal) => {
        const told = { results, isJson, signal };
        if (address === undefined) await look(foreignSocket(values), values, told);
        else await watch(address, file, values, told);
        return 0;
      }),
    );
  },
});

function assertSensible(address: string | undefined, values: Values): void {
  const { pid, fd, drain, follow, timestamps } = values;
  const isForeign = pid !== undefined || fd !== undefined;
  if (address === undefined && !isForeign)
    throw usageError("zc errq", "ADDR is missing, or --pid and --fd", "zc errq --help");
  if (address !== undefined && (isForeign || drain || follow))
    throw usageError("--pid, --fd, --drain and --follow", "they are for a socket that is there");
  if (isForeign && (pid === undefined || fd === undefined))
    throw usageError("--pid and --fd", "one is no use without the other");
  if (isForeign && timestamps) throw usageError("--timestamps", "only what is sent here has them");
}

function foreignSocket({ pid = 0, fd = 0 }: Values): ForeignSocket {
  return { pid, fd };
}

interface Told {
  readonly results: Results;
  readonly isJson: boolean;
  readonly signal: AbortSignal;
}

async function watch(
  address: string,
  file: string | undefined,
  values: Values,
  { results, isJson, signal }: Told,
): Promise<void> {
  const link = toLink(parseAddress(address), values, signal, !values.quiet);
  const notices = sendWatched({ ...link, file, timestamps: values.timestamps });
  let next = await notices.next();
  for (; !next.done; next = await notices.next()) {
    results.print(isJson ? JSON.stringify(next.value) : describeNotice(next.value));
    await results.room();
  }
  if (isJson) results.print(JSON.stringify(next.value));
  else if (!values.quiet) for (const line of describeWatch(next.value)) printNote(`zc: ${line}`);
}

async function look(
  socket: ForeignSocket,
  { drain, follow, quiet }: Values,
  { results, isJson, signal }: Told,
): Promise<void> {
  let cookie = "";
  for await (const state of watchSocket(socket, { follow: follow && !drain, signal })) {
    ({ cookie } = state);
    const lines = isJson ? [JSON.stringify(state)] : describeState(state);
    for (const line of lines) results.print(line);
    await results.room();
  }
  if (!drain) return;
  if (!quiet) printNote(`zc: taking its notifications: process ${socket.pid} will not see them`);
  for await (const notice of drainSocket(socket, { follow, cookie, signal })) {
    results.print(isJson ? JSON.stringify(notice) : describeNotice(notice));
    await results.room();
  }
}

function parseNumber(text: string, name: string): number {
  return parseCount(text, name, { min: 0, max: numberMax });
}
