/** The streams that other tests use are what they should be, and QEMU takes them back. */
import { closeSync, openSync, readSync } from "node:fs";
import { expect, test } from "vitest";
import { difference } from "../peers/own.ts";
import { scratch } from "../support/scratch.ts";
import { kindsOf } from "./kinds.ts";
import { load } from "./load.ts";
import { untilWritten } from "./memory.ts";
import { describeWithQemus } from "./qemus.ts";
import { magic, streamsOfTests } from "./streams.ts";

const streamOf = streamsOfTests();

describeWithQemus("streams", (qemu) => {
  test.for(kindsOf(qemu))("%s", async (name) => {
    using folder = scratch();
    const stream = await streamOf(qemu, name);
    expect(word(stream.main, stream.kind.offset)).toBe(magic.stream);
    expect(stream.channels.map((channel) => word(channel))).toEqual(
      stream.channels.map(() => magic.multifd),
    );

    const { machine, memory } = await load(folder, qemu, stream);
    expect(await difference(stream.memory, memory)).toBe("");
    await machine.qmp.execute("cont");
    expect(await machine.qmp.execute("query-status")).toMatchObject({ status: "running" });
    await untilWritten(memory);
  });
});

function word(path: string, position = 0): number {
  const bytes = Buffer.alloc(4);
  const fd = openSync(path, "r");
  readSync(fd, bytes, 0, bytes.length, position);
  closeSync(fd);
  return bytes.readUInt32BE(0);
}
