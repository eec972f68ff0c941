/** QEMU's own reader reads the streams that it should. */
import { expect, test } from "vitest";
import { difference } from "../peers/own.ts";
import { scratch } from "../support/scratch.ts";
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

    test("the devices of a stream with multifd", async () => {
      const { main } = await streamOf(qemu, "multifd-none");
      expect(Object.keys(await analyzer.state(main))).toEqual(withProcessor);
    });
  }),
);
