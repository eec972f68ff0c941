/** QEMU's own reader, and what zc makes of the same streams. */
import { expect, test } from "vitest";
import { difference } from "../peers/own.ts";
import { scratch } from "../support/scratch.ts";
import { zc } from "../support/zc.ts";
import { describeWithAnalyzer } from "./analyze.ts";
import { describeWithQemus } from "./qemus.ts";
import { streamsOfTests } from "./streams.ts";

const streamOf = streamsOfTests();
const withProcessor = expect.arrayContaining([expect.stringMatching(/^cpu \(\d+\)$/)]);

describeWithAnalyzer("analyze-migration.py", (analyzer) =>
  describeWithQemus("reads", (qemu) => {
    test("a stream's devices and memory", async () => {
      using folder = scratch();
      const { main, memory } = await streamOf(qemu, "plain");
      expect(Object.keys(await analyzer.state(main))).toEqual(withProcessor);

      await analyzer.extract(main, folder.path);
      expect(await difference(memory, folder.file("pc.ram"))).toBe("");
    });

    test.for(["plain", "q35", "multifd-none", "no-footers"] as const)(
      "%s: zc gives every field the same value",
      async (name) => {
        const { main } = await streamOf(qemu, name);
        const theirs = await analyzer.state(main);
        const ours = await fieldsOf(main);
        expect(Object.keys(theirs)).toEqual(withProcessor);
        for (const [section, fields] of Object.entries(theirs)) {
          if (section.startsWith("ram ")) continue;
          expect({ section, ...differing(fields, ours.get(section)) }).toEqual({ section });
        }
      },
    );
  }),
);

/** By "NAME (ID)". */
async function fieldsOf(stream: string): Promise<ReadonlyMap<string, unknown>> {
  const { stdout } = await zc(["migrate", "decode", stream]);
  const lines = stdout.toString().trimEnd().split("\n");
  const elements = lines.map((line) => JSON.parse(line));
  return new Map(
    elements.flatMap(({ name, id, fields }) => (fields ? [[`${name} (${id})`, fields]] : [])),
  );
}

/** The first path at which they are not the same; theirs has integers and bytes as text. */
function differing(theirs: unknown, ours: unknown, path = ""): object | undefined {
  if (typeof theirs !== "object" || theirs === null)
    return sameValue(theirs, ours) ? undefined : { path, theirs, ours };
  // An array of one is not one there.
  const here = Array.isArray(ours) && !Array.isArray(theirs) ? ours[0] : ours;
  for (const [name, value] of Object.entries(theirs)) {
    const found = differing(value, (here as Record<string, unknown>)?.[name], `${path}/${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function sameValue(theirs: unknown, ours: unknown): boolean {
  const value = Array.isArray(ours) && ours.length === 1 ? ours[0] : ours;
  if (typeof theirs !== "string") return theirs === value;
  if (theirs === "nullptr") return value === null;
  const [, digits] = /^0x([0-9a-f]+)/.exec(theirs) ?? [];
  const bytes = digits ?? theirs.replaceAll(" ", "");
  if (typeof value === "string" && !value.startsWith("0x")) return bytes === value;
  const bits = bytes.length * 4;
  return BigInt(`0x${bytes}`) === BigInt.asUintN(bits, BigInt(value as number | string));
}
