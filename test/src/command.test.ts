/** Arguments and options, as they are typed. */
import { expect, test } from "vitest";
import { defineCommand, type OptionSpecs, parseArguments } from "../../src/command.ts";
import { command as receive } from "../../src/commands/recv.ts";
import { command as send } from "../../src/commands/send.ts";

const command = defineCommand({
  usage: "ADDR [FILE]",
  text: "",
  options: {
    keepOpen: { flag: "--keep-open", text: "" },
    noClobber: { flag: "--no-clobber", text: "" },
    quiet: { flag: "-q, --quiet", text: "" },
    size: { flag: "--max-size <size>", text: "", parse: (text) => `${text}!` },
  },
  examples: [],
  run: async () => 0,
});

test.each([
  ["--keep-open ADDR FILE", { keepOpen: true }],
  ["ADDR --keep-open FILE", { keepOpen: true }],
  ["ADDR FILE --keep-open", { keepOpen: true }],
  ["--no-clobber ADDR FILE", { noClobber: true }],
  ["-q ADDR FILE", { quiet: true }],
  ["--max-size 5 ADDR FILE", { size: "5!" }],
  ["--max-size=5 --keep-open ADDR -- FILE", { size: "5!", keepOpen: true }],
] as const)("%s", (line, expected) => {
  const { args, options } = parseArguments("test", command, line.split(" "));
  expect(args).toEqual(["ADDR", "FILE"]);
  const nothing = { keepOpen: false, noClobber: false, quiet: false, size: undefined };
  expect(options).toEqual({ ...nothing, ...expected });
});

test("after -- nothing is an option, and - is an argument", () => {
  const { args, options } = parseArguments("test", command, ["-", "--", "--keep-open"]);
  expect(args).toEqual(["-", "--keep-open"]);
  expect(options.keepOpen).toBe(false);
});

const flags = Object.entries({ send, recv: receive }).flatMap(([name, { options }]) =>
  Object.values(options as OptionSpecs)
    .filter(({ parse }) => parse === undefined)
    .map(({ flag }) => [name, flag.replace(/^-., /, "")] as const),
);

test.each(flags)("zc %s %s takes no argument away", (name, flag) => {
  const own = { send, recv: receive }[name as "send" | "recv"];
  const { args } = parseArguments(name, own as typeof send, [flag, "ADDR", "FILE"]);
  expect(args).toEqual(["ADDR", "FILE"]);
});
