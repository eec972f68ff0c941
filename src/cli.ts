/** zc's command line: finds the subcommand, runs it, turns what it throws into an exit code. */
import { type CommandTable, helpText, parseArguments } from "./command.ts";
import { usageError, ZcError } from "./errors.ts";
import { isReaderGone, printNote, printResult } from "./print.ts";
import { Interrupted } from "./signals.ts";

/** Every subcommand: one line here, one file in commands/. Loaded only when it is called. */
const commands: CommandTable = {
  send: {
    text: "send a file or a stream",
    load: () => import("./commands/send.ts"),
  },
  recv: {
    text: "receive into a file or a stream",
    load: () => import("./commands/recv.ts"),
  },
  relay: {
    text: "join two addresses",
    load: () => import("./commands/relay.ts"),
  },
  errq: {
    text: "what a socket's error queue says",
    load: () => import("./commands/errq.ts"),
  },
  bench: {
    text: "does zero-copy pay, here?",
    load: () => import("./commands/bench.ts"),
  },
  migrate: {
    text: "QEMU's migration stream: what is in it",
    load: () => import("./commands/migrate.ts"),
  },
  vfio: {
    text: "a VFIO device's state: shown, changed, saved, resumed",
    load: () => import("./commands/vfio.ts"),
  },
  "vfio-user": {
    text: "devices in other processes, over a socket",
    load: () => import("./commands/vfio-user.ts"),
  },
  doctor: {
    text: "what this machine can do",
    load: () => import("./commands/doctor.ts"),
  },
  schema: {
    text: "the JSON Schema of a --json output",
    load: () => import("./commands/schema.ts"),
  },
};

/** As a shell reports a process that SIGPIPE ended. */
const readerGoneExitCode = 128 + 13;

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await run(argv);
  } catch (error) {
    return exitCodeOf(error);
  }
}

async function run([name, ...rest]: readonly string[]): Promise<number> {
  if (name === "--version" || name === "-V") return say(`zc ${await version()}`);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    return say(overview());
  }
  return runCommand(commands, "", [name, ...rest]);
}

/** Finds the command that the first word names, or the first two, and runs it. */
async function runCommand(
  table: CommandTable,
  parent: string,
  [word = "", ...rest]: readonly string[],
): Promise<number> {
  const entry = Object.hasOwn(table, word) ? table[word] : undefined;
  if (entry === undefined) {
    const known = `there are ${Object.keys(table).join(", ")}`;
    throw usageError(`"${word}"`, "no such subcommand", known);
  }
  const { command } = await entry.load();
  const name = `${parent}${word}`;
  const [next = ""] = rest;
  const { subcommands = {} } = command;
  if (Object.hasOwn(subcommands, next)) return runCommand(subcommands, `${name} `, rest);
  const { args, options, help } = parseArguments(name, command, rest);
  return help ? say(helpText(name, command)) : command.run(args, options as never);
}

function say(text: string): number {
  printResult(text);
  return 0;
}

async function version(): Promise<string> {
  const { default: manifest } = await import("../package.json");
  return manifest.version;
}

function overview(): string {
  const lines = Object.entries(commands).map(
    ([name, { text }]) => `  zc ${name.padEnd(9)} ${text}`,
  );
  return [
    "Moves bytes without copying them, and tells whether that really happened.",
    "",
    ...lines,
    "",
    "`zc NAME --help` tells more.",
  ].join("\n");
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  if (isReaderGone(error)) return readerGoneExitCode;
  if (process.env["ZC_DEBUG"]) printNote(String(error instanceof Error ? error.stack : error));
  if (error instanceof ZcError) {
    printNote(error.toLine());
    return error.exitCode;
  }
  printNote(
    `zc: [INTERNAL] ${error instanceof Error ? error.message : error}; ZC_DEBUG=1 tells where`,
  );
  return 1;
}
