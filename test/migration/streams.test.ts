/** The streams that other tests use are what they should be, and QEMU takes them back. */
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { difference } from "../peers/own.ts";
import { scratch } from "../support/scratch.ts";
import { kindsOf } from "./kinds.ts";
import { load } from "./load.ts";
import { untilWritten } from "./memory.ts";
import { describeWithQemus } from "./qemus.ts";
import { magic } from "./save.ts";
import { streamsOfTests } from "./streams.ts";

const streamOf = streamsOfTests();

describeWithQemus("streams", (qemu) => {
  test.for(kindsOf(qemu))(
    "%s: loaded, the memory is the same and the guest goes on",
    async (name) => {
      using folder = scratch();
      const stream = await streamOf(qemu, name);
      expect(word(stream.main, stream.kind.offset)).toBe(magic.stream);

      const { machine, memory } = await load(folder, qemu, stream);
      expect(await difference(stream.memory, memory)).toBe("");
      await machine.qmp.execute("cont");
      expect(await machine.qmp.execute("query-status")).toMatchObject({ status: "running" });
      await untilWritten(memory);
    },
  );

  test("a stream that breaks off is not loaded", async () => {
    using folder = scratch();
    const stream = await streamOf(qemu, "plain");
    const main = folder.file("main");
    writeFileSync(main, readFileSync(stream.main).subarray(0, 1 << 20));
    await expect(load(folder, qemu, { ...stream, main })).rejects.toThrow(
      /load of migration failed/,
    );
  });

  test("multifd's channels are two of its own", async () => {
    const { channels } = await streamOf(qemu, "multifd-none");
    expect(channels.map((channel) => word(channel))).toEqual([magic.multifd, magic.multifd]);
  });

  test("a postcopy's destination asks for memory", async () => {
    const { returnPath = "" } = await streamOf(qemu, "postcopy");
    // The end of REQ_PAGES: so many bytes, in the block of this name.
    expect(readFileSync(returnPath).includes("\0\0\x10\0\x06pc.ram")).toBe(true);
  });
});

function word(path: string, position = 0): number {
  const bytes = Buffer.alloc(4);
  const fd = openSync(path, "r");
  readSync(fd, bytes, 0, bytes.length, position);
  closeSync(fd);
  return bytes.readUInt32BE(0);
}
