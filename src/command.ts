/** What a subcommand is: its arguments and options as data, and what it does. */
import { cac } from "cac";
import { usageError } from "./errors.ts";

export interface OptionSpec<T> {
  /** As a user types it: "--chunk <size>", "-q, --quiet", "--no-clobber". */
  readonly flag: string;
  readonly text: string;
  /** From the option's text; `name` is for its errors. A flag without a value has none. */
  readonly parse?: (text: string, name: string) => T;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec<unknown>>>;

/** Options that were not given are undefined; flags without a value are booleans. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends {
    readonly parse: (text: string, name: string) => infer T;
  }
    ? T | undefined
    : boolean;
};

/** What can be said of a command without running it. */
export interface CommandText {
  /** "ADDR [FILE]": required, and optional in brackets. */
  readonly usage: string;
  readonly text: string;
  readonly options: OptionSpecs;
  readonly examples: readonly string[];
  /** Words that may come first, each a command of its own. */
  readonly subcommands?: CommandTable;
}

/** Commands by name; loaded only when they are called. */
export type CommandTable = Readonly<
  Record<string, { readonly text: string; readonly load: () => Promise<CommandModule> }>
>;

export interface CommandModule {
  // Each command checks its own values; the table only knows that there are some.
  readonly command: CommandText & { readonly run: Command<never>["run"] };
}

export interface Command<S extends OptionSpecs> extends CommandText {
  readonly options: S;
  /** Returns the exit code. Throws ZcError. */
  readonly run: (args: readonly string[], options: OptionValues<S>) => Promise<number>;
}

/** So that a command's `run` knows the types of its options. */
export function defineCommand<S extends OptionSpecs>(command: Command<S>): Command<S> {
  return command;
}

/** The choices of an option, as its parser. */
export function oneOf<const T extends string>(choices: readonly T[]) {
  return (text: string, name: string): T => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw usageError(name, `"${text}" is none of ${choices.join(", ")}`);
    return found;
  };
}

/** Splits what was typed after the subcommand's name. Throws USAGE. */
export function parseArguments<S extends OptionSpecs>(
  name: string,
  command: CommandText & { readonly options: S },
  argv: readonly string[],
): { args: readonly string[]; options: OptionValues<S>; help: boolean } {
  const { args, options } = split(name, command, argv);
  if (options["help"] === true) return { args: [], options: valuesOf(command, {}), help: true };
  const expected = command.usage.split(" ").filter(Boolean);
  const required = expected.filter((part) => !part.startsWith("["));
  if (args.length < required.length) {
    throw usageError(`zc ${name}`, `${required[args.length]} is missing`, helpHint(name));
  }
  if (args.length > expected.length) {
    throw usageError(`"${args[expected.length]}"`, "one argument too many", helpHint(name));
  }
  return { args, options: valuesOf(command, options), help: false };
}

/** "-" is an argument; the option parser would take it for a nameless option. */
const dash = "\u0000-";

function split(name: string, command: CommandText, argv: readonly string[]) {
  const cli = cac("zc");
  const definition = cli.command(name, command.text);
  for (const { flag } of Object.values(command.options)) {
    definition.option(flag, "");
  }
  definition.option("-h, --help", "");
  definition.action(() => {});
  const joined = joinedNames(command);
  const shielded = argv.map((argument) => (argument === "-" ? dash : argument));
  const end = argv.indexOf("--");
  const readable = shielded.map((argument, index) =>
    end === -1 || index < end ? (joined.get(argument) ?? argument) : argument,
  );
  cli.parse(["bun", "zc", name, ...readable], { run: false });
  try {
    definition.checkUnknownOptions();
    if (cli.options["help"] !== true) definition.checkOptionValue();
  } catch (error) {
    throw usageError(`zc ${name}`, error instanceof Error ? error.message : "", helpHint(name));
  }
  const after: string[] = cli.options["--"] ?? [];
  const args = [...cli.args, ...after].map((argument) => (argument === dash ? "-" : argument));
  return { args, options: cli.options };
}

/**
 * Flags without a value, by the name that cac knows them by: of "--keep-open ADDR" it would take
 * the address for a value.
 */
function joinedNames({ options }: CommandText): ReadonlyMap<string, string> {
  const flags = Object.values(options).filter(({ parse }) => parse === undefined);
  const names = flags.map(({ flag }) => longName(flag)).filter((name) => !name.startsWith("--no-"));
  return new Map(names.map((name) => [name, `--${camelCase(name.slice(2))}`]));
}

function valuesOf<S extends OptionSpecs>(
  command: { readonly options: S },
  given: Record<string, unknown>,
) {
  const entries = Object.entries<OptionSpec<unknown>>(command.options).map(([key, spec]) => [
    key,
    optionValue(spec, given),
  ]);
  return Object.fromEntries(entries) as OptionValues<S>;
}

function optionValue(
  { flag, parse }: OptionSpec<unknown>,
  given: Record<string, unknown>,
): unknown {
  const long = longName(flag);
  if (long.startsWith("--no-")) return given[camelCase(long.slice(5))] === false;
  const value = given[camelCase(long.slice(2))];
  if (parse === undefined) return value === true;
  if (Array.isArray(value)) throw usageError(long, "given more than once");
  return value === undefined ? undefined : parse(String(value), long);
}

function longName(flag: string): string {
  return /--[a-z0-9-]+/.exec(flag)?.[0] ?? flag;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function helpHint(name: string): string {
  return `zc ${name} --help`;
}

/** The text of `zc NAME --help`. */
export function helpText(name: string, command: CommandText): string {
  const options = Object.values(command.options);
  const width = Math.max(0, ...options.map(({ flag }) => flag.length));
  const subcommands = Object.entries(command.subcommands ?? {});
  const isOnlyOthers = command.usage === "" && options.length === 0 && subcommands.length > 0;
  const usages = [
    ...(isOnlyOthers ? [] : [`zc ${name} ${command.usage} [options]`.replace("  ", " ")]),
    ...subcommands.map(([word, { text }]) => `zc ${name} ${word} …: ${text}`),
  ];
  return [
    command.text,
    "",
    ...usages.map((usage, index) => `${index === 0 ? "usage:" : "      "} ${usage}`),
    ...(options.length > 0 ? [""] : []),
    ...options.map(({ flag, text }) => `  ${flag.padEnd(width)}  ${text}`),
    ...(command.examples.length > 0 ? ["", "examples:"] : []),
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}
